import { casesOf, countsOf, TEST_STATUSES, type TestCounts } from "../ktap/results.ts";
import { ktapHead, ktapLines, ktapTotals } from "../ktap/write.ts";
import type { Verdict } from "../verdict.ts";
import type { REPORTS } from "./formats.ts";
import type { ReportedJob } from "./job.ts";
import { jsonOfJob, REPORT_VERSION } from "./json.ts";
import { addJunitTotals, JUNIT_TAIL, junitHead, junitSuites, NO_JUNIT_TOTALS } from "./junit.ts";
import { type Kcidb, type KcidbOptions, kcidbOf } from "./kcidb.ts";
import { groupOf } from "./ktap.ts";
import { MARKDOWN_ROWS } from "./limits.ts";
import { writeMarkdown } from "./markdown.ts";

/** Many jobs, of which one at a time is in memory. */
export interface ManyJobs {
  readonly id: string;
  readonly name: string | null;
  /** The worst of all; "running" while it is not known. */
  readonly verdict: Verdict | "running";
  readonly total: number;
  readonly passed: number;
  /** All of them, in order, each time it is called. */
  jobs(): AsyncIterable<ReportedJob>;
}

/** A report's text, piece by piece. */
export type ReportPieces = AsyncIterable<string>;
type Extension = keyof typeof REPORTS;

const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

/** A value as JSON, further to the right. */
function indented(value: unknown, indent: string): string {
  return JSON.stringify(value, null, 2).replaceAll("\n", `\n${indent}`);
}

/** Writes the values of a JSON array as they come. */
async function* array(values: AsyncIterable<unknown>, indent: string): ReportPieces {
  let isFirst = true;
  yield "[";
  for await (const value of values) {
    yield `${isFirst ? "" : ","}\n${indent}  ${indented(value, `${indent}  `)}`;
    isFirst = false;
  }
  yield isFirst ? "]" : `\n${indent}]`;
}

async function* writeJson({ id, name, verdict, jobs }: ManyJobs): ReportPieces {
  const head = { reportVersion: REPORT_VERSION, verdict, batch: { id, name } };
  yield `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "jobs": `;
  yield* array(
    mapped(jobs(), (job) => [jsonOfJob(job)]),
    "  ",
  );
  yield "\n}\n";
}

async function* mapped<From, To>(
  values: AsyncIterable<From>,
  map: (value: From) => readonly To[],
): AsyncIterable<To> {
  for await (const value of values) yield* map(value);
}

async function* writeJunit({ total, jobs }: ManyJobs): ReportPieces {
  let totals = NO_JUNIT_TOTALS;
  for await (const job of jobs()) totals = addJunitTotals(totals, job);
  yield text(junitHead(totals));
  let first = 0;
  for await (const job of jobs()) {
    const { lines, suites } = junitSuites(job, total > 1, first);
    first += suites;
    yield text(lines);
  }
  yield text(JUNIT_TAIL);
}

async function* writeKtap({ total, jobs }: ManyJobs): ReportPieces {
  yield text(ktapHead(total));
  const sums = Object.fromEntries(TEST_STATUSES.map((status) => [status, 0])) as Record<
    keyof TestCounts,
    number
  >;
  let number = 0;
  for await (const job of jobs()) {
    const group = groupOf(job);
    const counts = countsOf(casesOf({ results: [group], problems: [], dropped: 0 }));
    for (const status of TEST_STATUSES) sums[status] += counts[status];
    yield text(ktapLines(group, ++number));
  }
  yield text([ktapTotals(sums)]);
}

/** Only ids are remembered of what several jobs share. */
async function* writeKcidb({ jobs }: ManyJobs, options: KcidbOptions): ReportPieces {
  const shared = ["checkouts", "builds", "issues"] as const;
  const own = ["tests", "incidents"] as const;
  const { version } = kcidbOf([], options);
  yield `{\n  "version": ${indented(version, "  ")}`;
  for (const name of [...shared, ...own]) {
    const seen = new Set<unknown>();
    const isNew = ({ id }: Kcidb["tests"][number]): boolean => seen.size < seen.add(id).size;
    const isShared = (shared as readonly string[]).includes(name);
    yield `,\n  "${name}": `;
    yield* array(
      mapped(jobs(), (job) =>
        isShared ? kcidbOf([job], options)[name].filter(isNew) : kcidbOf([job], options)[name],
      ),
      "  ",
    );
  }
  yield "\n}\n";
}

/** As many as are shown, those that did not pass before the others. */
async function* writeComment({ name, verdict, total, passed, jobs }: ManyJobs): ReportPieces {
  const bad: ReportedJob[] = [];
  const good: ReportedJob[] = [];
  for await (const job of jobs()) {
    const some = job.verdict === "pass" ? good : bad;
    if (some.length < MARKDOWN_ROWS) some.push(job);
  }
  const shown = [...bad, ...good].slice(0, MARKDOWN_ROWS);
  yield writeMarkdown(shown, new Map(), { verdict, jobs: total, passed, name });
}

/** Reports of many jobs, in the memory that one job's takes. */
export const MANY_WRITERS: Readonly<
  Record<Extension, (jobs: ManyJobs, options: KcidbOptions) => ReportPieces>
> = {
  json: writeJson,
  xml: writeJunit,
  ktap: writeKtap,
  kcidb: writeKcidb,
  md: writeComment,
};
