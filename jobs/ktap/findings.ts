import type { Finding } from "../verdict.ts";
import { NAMED_FAILURES } from "./limits.ts";
import { casesOf, isFailure, type TestRun } from "./results.ts";

/**
 * What test results mean for a run's verdict: a failed test fails it, and so does output that was cut short; tests that were
 * all skipped make it a skip. Nothing if no test ran.
 */
export function findingsOfTests(run: TestRun): readonly Finding[] {
  const cases = casesOf(run);
  const failed = cases.filter(({ result }) => isFailure(result.status));
  if (failed.length > 0) {
    const named = failed
      .slice(0, NAMED_FAILURES)
      .map(({ path, result }) => [...path, result.name].join(" / "));
    const more = failed.length > named.length ? `, and ${failed.length - named.length} more` : "";
    return [
      {
        verdict: "fail",
        code: "tests-failed",
        message: `${failed.length} of ${cases.length} tests failed: ${named.join(", ")}${more}.`,
      },
    ];
  }
  const [problem] = run.problems;
  if (problem !== undefined) return [{ verdict: "fail", code: "tests-incomplete", message: problem }];
  if (cases.length > 0 && cases.every(({ result }) => result.status === "skip"))
    return [
      {
        verdict: "skip",
        code: "tests-skipped",
        message:
          cases.length === 1 ? "The only test was skipped." : `All ${cases.length} tests were skipped.`,
      },
    ];
  return [];
}
