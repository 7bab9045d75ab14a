/**
 * Counts tests in vitest's JSON report: `node .ci/count-tests.ts REPORT` prints "N passed, N failed" and, where there
 * are any, ", N skipped". A test file that could not be run at all counts as one failed test.
 */
import { readFileSync } from "node:fs";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly success: boolean;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

const path = process.argv[2];
if (path === undefined) throw new Error("usage: node .ci/count-tests.ts REPORT");
const report = JSON.parse(readFileSync(path, "utf8")) as Report;
const unrunnable = report.testResults.filter(
  ({ status, assertionResults }) =>
    status === "failed" && assertionResults.every((assertion) => assertion.status !== "failed"),
).length;
const counted = report.numFailedTests + unrunnable;
// An error outside all tests fails the run and must not look like success.
const failed = counted === 0 && !report.success ? 1 : counted;
const skipped = report.numPendingTests + report.numTodoTests;
console.log(`${report.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
