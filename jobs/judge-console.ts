import { findingsOfEvents } from "./console/findings.ts";
import type { KernelEvent } from "./console/kernel-log.ts";
import { PANIC_KINDS } from "./console/kinds.ts";
import { findingsOfTests } from "./ktap/findings.ts";
import { Pattern } from "./pattern/match.ts";
import type { ConsoleReport } from "./report/job.ts";
import { judge, type Outcome } from "./verdict.ts";

/** Outcomes that say nothing about the guest: what its console says does not matter. */
const OURS: ReadonlySet<Outcome["verdict"]> = new Set(["error", "canceled"]);

/**
 * A run's outcome, given what its whole console says besides: what the kernel complained about, and the results of tests.
 * The worst of all wins. An event whose line matches one of the job's pass patterns is what was asked for and does not count,
 * nor does what led to it.
 */
export function judgeConsole(
  outcome: Outcome,
  report: Pick<ConsoleReport, "events" | "tests">,
  pass: readonly string[],
): Outcome {
  if (OURS.has(outcome.verdict)) return outcome;
  const patterns = pass.map((source) => new Pattern(source));
  const isAsked = ({ text }: KernelEvent): boolean => patterns.some((pattern) => pattern.test(text));
  const asked = report.events.filter(isAsked);
  const causes = new Set(asked.map(({ cause }) => cause));
  const counted = report.events.filter((event) => !asked.includes(event) && !causes.has(event.title));
  // The monitor has told of a panic already, but knows less of it.
  const panicked = counted.some(({ kind }) => PANIC_KINDS.has(kind));
  const findings = [
    ...findingsOfEvents(counted),
    ...outcome.findings.filter(({ code }) => code !== "panic" || !panicked),
    ...findingsOfTests(report.tests),
  ];
  const [first, ...rest] = findings;
  return first === undefined ? outcome : judge([first, ...rest]);
}
