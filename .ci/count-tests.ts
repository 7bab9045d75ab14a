/**
 * Counts tests: `node .ci/count-tests.ts REPORT`, where REPORT is what reporter.ts wrote, prints "N passed, N failed" and,
 * where there are any, ", N skipped". Before that line, which is the last, it names the tests that failed, each with its
 * file and the beginning of its error, and the files that had not ended when the run was ended.
 */
import { readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import type { TestReport } from "./reporter.ts";

/** Failures that are named; of more there is a count. */
const MAX_NAMED = 8;
/** Characters of one failure, and of all together: of a long log often only the end is shown. */
const MAX_FAILURE = 300;
const MAX_FAILURES = 1100;

const path = process.argv[2];
if (path === undefined) throw new Error("usage: node .ci/count-tests.ts REPORT");
const { passed, failed, skipped, failures, unfinished, ended } = JSON.parse(
  readFileSync(path, "utf8"),
) as TestReport;

const all = [...failures, ...unfinished.map((test) => ({ test, error: "had not ended" }))];
const most = Math.min(MAX_FAILURE, Math.floor(MAX_FAILURES / Math.min(all.length, MAX_NAMED)));
for (const { test, error } of all.slice(0, MAX_NAMED)) {
  const line = stripVTControlCharacters(`FAILED ${test} | ${error}`).replace(/\s+/g, " ");
  console.log(line.length > most ? `${line.slice(0, most - 1)}…` : line);
}
if (all.length > MAX_NAMED) console.log(`and ${all.length - MAX_NAMED} more`);

// A run that was ended early is no success, whatever passed until then.
const counted = ended ? failed : Math.max(1, failed);
console.log(`${passed} passed, ${counted} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
