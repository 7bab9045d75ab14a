import { type KernelEvent, KernelLog } from "../console/kernel-log.ts";
import type { Architecture } from "../cpu.ts";
import { KtapReader } from "../ktap/read.ts";
import type { TestRun } from "../ktap/results.ts";
import type { JobConfig } from "../schema/config.ts";
import type { JobState } from "../states.ts";
import type { Finding, Verdict } from "../verdict.ts";
import { CONSOLE_TAIL_CHARACTERS } from "./limits.ts";

/** All that reports say of a job. Times are ISO 8601 in UTC. */
export interface ReportedJob {
  readonly id: string;
  readonly state: JobState;
  /** null while it runs. */
  readonly verdict: Verdict | null;
  readonly reason: string | null;
  readonly reasonCode: string | null;
  readonly findings: readonly Finding[];
  /** The fixture's or the file's name, if it has one. */
  readonly kernel: { readonly sha256: string; readonly name: string | null };
  readonly cmdline: string;
  /** MiB */
  readonly memory: number;
  /** How the guest was started, and what processor it had: as in a configuration. */
  readonly mode: JobConfig["mode"];
  readonly cpu: string;
  /** What its kernel is built for; null if that is not known. */
  readonly architecture: Architecture | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** Wall time in seconds, from the first instruction to the end. */
  readonly seconds: number;
  readonly guestSeconds: number;
  readonly instructions: number;
  readonly consoleBytes: number;
  /** Where people look at it. */
  readonly url: string | null;
  readonly console: ConsoleReport;
}

/** What a job's console says. */
export interface ConsoleReport {
  readonly events: readonly KernelEvent[];
  readonly tests: TestRun;
  /** The end of the console, decoded. */
  readonly tail: string;
}

/** Reads a console piece by piece, in bounded memory. */
export class ConsoleReporter {
  readonly #log = new KernelLog();
  readonly #tests = new KtapReader();
  readonly #decoder = new TextDecoder();
  #tail = "";

  output(bytes: Uint8Array): void {
    this.#log.output(bytes);
    this.#tests.output(bytes);
    this.#keep(this.#decoder.decode(bytes, { stream: true }));
  }

  end(): ConsoleReport {
    this.#keep(this.#decoder.decode());
    this.#log.end();
    return { events: this.#log.events, tests: this.#tests.end(), tail: this.#tail };
  }

  #keep(text: string): void {
    if (text === "") return;
    this.#tail = (this.#tail + text).slice(-CONSOLE_TAIL_CHARACTERS);
  }
}

export function reportConsole(bytes: Uint8Array): ConsoleReport {
  const reporter = new ConsoleReporter();
  reporter.output(bytes);
  return reporter.end();
}

/** What reports call a job: its label "name", else its kernel's name, else the beginning of its kernel's hash. */
export function nameOf(job: ReportedJob): string {
  return job.labels.name ?? job.kernel.name ?? job.kernel.sha256.slice(0, 12);
}
