import { constants } from "node:os";
import { EXIT, note } from "./exit.ts";

/* What ends a command from outside: signals, and a reader that goes away. */

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** SIGPIPE stands for output that nobody reads any more; Node gets no such signal. */
export type Signal = (typeof SIGNALS)[number] | "SIGPIPE";

/** What a shell's $? is after this signal: 130 for Ctrl-C. */
export const statusOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

/**
 * On a terminal Ctrl-C reaches us twice: from it, and from the program that started us (xenner.js, npm), which passes it on. So
 * only one that comes later is a second one.
 */
const ECHO_MILLISECONDS = 500;

/** What the command that runs does at the first signal. */
let whenInterrupted: ((signal: Signal) => void) | undefined;

/**
 * Calls `interrupted` for the first signal; a second one ends the process at once.
 *
 * @returns what undoes it
 */
export function onSignal(interrupted: (signal: Signal) => void): () => void {
  let since: number | undefined;
  whenInterrupted = (signal) => {
    if (since !== undefined) return;
    since = performance.now();
    interrupted(signal);
  };
  const handlers = SIGNALS.map((signal) => {
    const handler = (): void => {
      if (since === undefined) whenInterrupted?.(signal);
      else if (performance.now() - since > ECHO_MILLISECONDS) process.exit(statusOf(signal));
    };
    process.on(signal, handler);
    return [signal, handler] as const;
  });
  return () => {
    whenInterrupted = undefined;
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

/**
 * Output that nobody reads any more, as of `| head`, ends the command like other programs, without a word; a job that `run` waits for is
 * canceled as by a signal. Output that cannot be written is an error.
 */
export function endWithOutput(): void {
  let isBroken = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") {
      note(`standard output: ${error.message}`);
      process.exit(EXIT.infrastructure);
    }
    if (isBroken) return;
    if (whenInterrupted === undefined) process.exit(statusOf("SIGPIPE"));
    // What waits for a job writes on until that is over, and is told each time.
    whenInterrupted("SIGPIPE");
    isBroken = true;
  });
}
