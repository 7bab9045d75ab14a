import { expect, test } from "vitest";
import { MANY_WRITERS, type ManyJobs } from "./batch.ts";
import type { ReportedJob } from "./job.ts";
import { writeJsonReport } from "./json.ts";
import { writeJunit } from "./junit.ts";
import { writeKcidb } from "./kcidb.ts";
import { writeKtapReport } from "./ktap.ts";
import { writeMarkdown } from "./markdown.ts";
import { HOSTILE, jobOf, recordedJob } from "./testing/jobs.ts";

/*
 * Reports of many jobs are written as they are read, one job after the other. They must be what the writers make of all jobs
 * at once, whose output is held against the published schemas elsewhere; and while a job is read, those before it must be out.
 */

const OPTIONS = { origin: "xenner" };
const JOBS: readonly ReportedJob[] = [
  jobOf({ id: "1".repeat(32), labels: { name: "one" } }),
  recordedJob("tests", "fail"),
  recordedJob("panic", "crash"),
  HOSTILE,
  recordedJob("panic", "crash"),
  jobOf({ id: "2".repeat(32), verdict: null, state: "running" }),
];

function many(jobs: readonly ReportedJob[], onRead: (index: number) => void = () => {}): ManyJobs {
  return {
    id: "b".repeat(32),
    name: null,
    verdict: "crash",
    total: jobs.length,
    passed: jobs.filter(({ verdict }) => verdict === "pass").length,
    async *jobs() {
      for (const [index, job] of jobs.entries()) {
        onRead(index);
        yield job;
      }
    },
  };
}

async function whole(extension: keyof typeof MANY_WRITERS, jobs: readonly ReportedJob[]): Promise<string> {
  let text = "";
  for await (const piece of MANY_WRITERS[extension](many(jobs), OPTIONS)) text += piece;
  return text;
}

test.each([[[]], [JOBS]] as const)("are the same as of all jobs at once", async (jobs) => {
  expect(await whole("xml", jobs)).toBe(writeJunit(jobs));
  expect(JSON.parse(await whole("kcidb", jobs))).toEqual(JSON.parse(writeKcidb(jobs, OPTIONS)));
  const json = JSON.parse(await whole("json", jobs)) as Record<string, unknown>;
  const expected = JSON.parse(writeJsonReport(jobs)) as object;
  expect(json).toEqual({ ...expected, verdict: "crash", batch: { id: "b".repeat(32), name: null } });
  if (jobs.length > 0) {
    expect(await whole("ktap", jobs)).toBe(writeKtapReport(jobs));
    expect(await whole("md", jobs)).toBe(writeMarkdown(jobs));
  }
});

test.each(["json", "xml", "ktap", "kcidb"] as const)(
  "%s: what was read is written before more is read",
  async (extension) => {
    const jobs = Array.from({ length: 50 }, (_, i) =>
      jobOf({ id: String(i).padStart(32, "0"), labels: { name: `job-${i}-name` } }),
    );
    let written = "";
    /** The pass over the jobs that writes them: its first read finds none of them written. */
    let late = 0;
    const source = many(jobs, (index) => {
      const isWriting = written.includes('"tests": [') || extension !== "kcidb";
      const isSecondPass = extension !== "xml" || written.includes("<testsuites");
      if (!isWriting || !isSecondPass || index === 0 || written.includes('"incidents"')) return;
      const { id } = jobs[index - 1]!;
      if (!written.includes(extension === "ktap" ? `job-${index - 1}-name` : id)) late++;
    });
    for await (const piece of MANY_WRITERS[extension](source, OPTIONS)) written += piece;
    expect(written).toContain("49");
    expect(late).toBe(0);
  },
);

test("a comment has what went wrong first, and counts what it leaves out", async () => {
  const jobs = Array.from({ length: 3000 }, (_, i) =>
    jobOf({
      id: String(i).padStart(32, "0"),
      verdict: i % 100 === 99 ? "fail" : "pass",
      labels: { name: `job-${i}` },
    }),
  );
  const text = await whole("md", jobs);
  expect(text).toContain("3000 jobs, 2970 passed");
  expect(text.match(/^\| \[`job-\d+`\].*\| fail \|/gm)).toHaveLength(30);
  expect(text).toContain("and 2950 more.");
  expect(text.length).toBeLessThan(65_536);
});
