import { progress, spinner } from "@clack/prompts";
import { systemClock, type Clock } from "../base/clock.ts";

/** Tells a waiting person how far a command is. Always on stderr: stdout belongs to the result. */
export interface Progress {
  /** Counts `step` more. `message` replaces what stands beside the bar. */
  advance(step: number, message?: string): void;
  /** Ends it with a last line. */
  done(message: string): void;
  fail(message: string): void;
}

/** What is counted. Without a `total` there is no bar, only the message. */
export interface ProgressOptions {
  readonly message: string;
  readonly total?: number;
  /** A test or a script passes its own; otherwise a terminal gets a bar and a pipe gets lines. */
  readonly write?: (line: string) => void;
  readonly clock?: Clock;
}

const lineEveryMs = 5_000;
const drawEveryMs = 50;

/** Starts to show progress: a bar or a spinner on a terminal, a plain line now and then elsewhere. */
export function createProgress(options: ProgressOptions): Progress {
  const isTerminal = process.stderr.isTTY && process.stdin.isTTY;
  return options.write === undefined && isTerminal ? createBar(options) : createLines(options);
}

function createBar(options: ProgressOptions): Progress {
  const { clock = systemClock, message, total } = options;
  const measured =
    total === undefined || total === 0 ? null : progress({ output: process.stderr, max: total });
  const bar = measured ?? spinner({ output: process.stderr });
  let pending = 0;
  let drawnAtMs = clock.monotonic();
  bar.start(message);
  return {
    advance: (step, next) => {
      pending += step;
      const nowMs = clock.monotonic();
      if (nowMs - drawnAtMs < drawEveryMs) return;
      if (measured === null) bar.message(next ?? message);
      else measured.advance(pending, next ?? message);
      pending = 0;
      drawnAtMs = nowMs;
    },
    done: (last) => bar.stop(last),
    fail: (last) => bar.error(last),
  };
}

function createLines(options: ProgressOptions): Progress {
  const { clock = systemClock, message, total } = options;
  const write = options.write ?? ((line: string) => void process.stderr.write(`${line}\n`));
  let count = 0;
  let saidAtMs = clock.monotonic();
  return {
    advance: (step, next) => {
      count += step;
      const nowMs = clock.monotonic();
      if (nowMs - saidAtMs < lineEveryMs) return;
      saidAtMs = nowMs;
      const share =
        total === undefined || total === 0 ? "" : ` ${Math.floor((100 * count) / total)}%`;
      write(`${next ?? message}${share}`);
    },
    done: (last) => write(last),
    fail: (last) => write(last),
  };
}
