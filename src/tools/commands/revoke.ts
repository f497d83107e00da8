import { createHash } from "node:crypto";
import type { Command } from "commander";
import { decodeJwt } from "jose";
import { jsonBody } from "../api.ts";
import { connect, withConnection, type ConnectionOptions } from "../connect.ts";
import { CommandError } from "../errors.ts";
import { writeNotice } from "../output.ts";

interface RevokeOptions extends ConnectionOptions {
  readonly subject?: string;
}

/** Adds `revoke`. */
export function addRevoke(program: Command): void {
  const command = program
    .command("revoke")
    .description("end a token, or all tokens a subject holds until now")
    .argument("[token]", "the token, or its id (jti)")
    .option("--subject <name>", "all tokens of this subject");
  withConnection(command).action(async (revoked: string | undefined, options: RevokeOptions) => {
    const { subject } = options;
    if ((revoked === undefined) === (subject === undefined)) {
      command.error("error: name either a token or --subject, and only one of them", {
        exitCode: 2,
      });
    }
    const what =
      revoked === undefined
        ? { kind: "subject", value: subject }
        : { kind: "token", value: tokenIdOf(revoked) };
    await connect(options).request("/v1/revocations", jsonBody(what));
    writeNotice(`Revoked: ${what.kind} ${what.value}.`);
  });
}

/** The service knows a token by its `jti`, and one without by the SHA-256 of what was signed. */
export function tokenIdOf(token: string): string {
  if (!token.includes(".")) return token;
  try {
    const { jti } = decodeJwt(token);
    if (jti !== undefined) return jti;
  } catch (error) {
    throw new CommandError("This is not a token: a token is a JWT of three parts.", {
      cause: error,
    });
  }
  return createHash("sha256")
    .update(token.slice(0, token.lastIndexOf(".")))
    .digest("hex");
}
