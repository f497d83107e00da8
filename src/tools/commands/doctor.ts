import { createClient } from "@libsql/client";
import type { Command } from "commander";
import { bundledPlugins } from "../../../plugins/index.ts";
import { systemClock } from "../../base/clock.ts";
import { defaultLimits } from "../../protocol/limits.ts";
import { createRegistry } from "../../resource/registry.ts";
import { readConfig } from "../../runtime/config.ts";
import { openDatabase } from "../../store/database.ts";
import { silentTelemetry } from "../../telemetry/telemetry.ts";
import { examineLibrary } from "../doctor.ts";
import { CommandError } from "../errors.ts";
import { writeLine } from "../output.ts";

const FINDINGS_SHOWN = 50;

/** Adds `doctor`: it reads the database itself, so it works while the service runs and when it cannot. */
export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("replay a library's log, compare it with the live rows, print what differs")
    .requiredOption("--library <id>", "the library's id")
    .action(async ({ library }: { library: string }) => {
      const config = readConfig(process.env);
      const database = openDatabase({
        url: config.DATABASE_URL.replaceAll("{database}", library),
        authToken: config.DATABASE_AUTH_TOKEN,
        durability: config.DURABILITY,
        createClient: (client) => createClient(client),
        clock: systemClock,
        limits: defaultLimits,
        telemetry: silentTelemetry,
      });
      const { entryCount, recordCount, findings } = await examineLibrary(
        database,
        createRegistry(bundledPlugins),
      );
      database.close();
      for (const finding of findings.slice(0, FINDINGS_SHOWN)) writeLine(finding);
      if (findings.length > FINDINGS_SHOWN)
        writeLine(`… and ${findings.length - FINDINGS_SHOWN} more.`);
      writeLine(`${entryCount} entries, ${recordCount} records, ${findings.length} differences.`);
      if (findings.length > 0) throw new CommandError("The log and the rows do not agree.");
    });
}
