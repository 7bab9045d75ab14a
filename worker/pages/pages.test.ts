import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { XMLValidator } from "fast-xml-parser";
import { describe, expect, test } from "vitest";
import { ConsoleReader } from "../../jobs/ansi/console.ts";
import { parseConfig } from "../../jobs/spec.ts";
import type { MemberView } from "../batches/member.ts";
import type { BatchView } from "../batches/record.ts";
import { HttpError } from "../errors.ts";
import type { JobView } from "../runner/record.ts";
import { ASSETS } from "./assets.generated.ts";
import { gridOf } from "./batch-grid.ts";
import { Batch } from "./batches.tsx";
import { buildAssets } from "./build.ts";
import { differencesOf } from "./compare.tsx";
import { findLines, linesHtml, readWindow, WINDOW_LINES, windowOfLine, windowsOf } from "./console-view.ts";
import { ago, bytes, change, percent, seconds, si, visible, webAddress } from "./format.ts";
import { Details, type JobPageData } from "./job.tsx";
import { orderOf } from "./job-form.ts";
import { EMPTY_FORM } from "./new-job.tsx";
import { contrast, readable, TERMINAL } from "./style/palette.ts";

/*
 * What pages are made of, without a browser: the script's size, the windows of long consoles, the grid of a batch, what a form asks
 * for, and numbers in words.
 */

const SCRIPT_BYTES = 60 * 1024;

async function* chunks(text: string | Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const all = typeof text === "string" ? new TextEncoder().encode(text) : text;
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
}

describe("the assets", () => {
  test("are what their sources make", async () => {
    expect(readFileSync(join(import.meta.dirname, "assets.generated.ts"), "utf8")).toBe(await buildAssets());
  });

  test("are small: all script that any page has is under 60 KB, not compressed", () => {
    expect(ASSETS.script.length).toBeLessThan(SCRIPT_BYTES);
    expect(gzipSync(ASSETS.style).length).toBeLessThan(SCRIPT_BYTES / 4);
    // A closing tag or an address would be no part of ours.
    expect(ASSETS.script).not.toMatch(/https?:\/\/|eval\(|innerHTML\s*=/);
    expect(ASSETS.style).not.toMatch(/https?:\/\/|url\(|@import/);
  });

  test("every colour of the console can be read", () => {
    for (let index = 0; index < 256; index++)
      expect([index, contrast(readable(index), TERMINAL.background) >= 4.5]).toEqual([index, true]);
  });
});

describe("a long console", () => {
  const LINES = 3 * WINDOW_LINES + 100;
  const text = Array.from(
    { length: LINES },
    (_, index) => `${index % 500 === 0 ? `\x1b[3${(index / 500) % 8}m` : ""}line ${index + 1}`,
  ).join("\n");

  test("is shown in windows that are the whole when put together, each as if read from the beginning", async () => {
    const reader = new ConsoleReader();
    const all = reader.read(new TextEncoder().encode(text));
    const last = reader.unfinished();
    const expected = linesHtml(last === undefined ? all : [...all, last]);
    for (const size of [1000, 65_536, 1_000_000]) {
      const starts = await windowsOf(chunks(text, size));
      expect(starts.length).toBeGreaterThanOrEqual(3);
      let html = "";
      for (const [index, start] of starts.entries()) {
        const bytesFrom = new TextEncoder().encode(text).subarray(start.offset);
        const window = await readWindow(chunks(bytesFrom, size), starts, index);
        html += linesHtml(window.lines);
        expect(window.before).toBe(index === 0 ? null : (starts[index - 1]?.number ?? 0));
        expect(window.behind).toBe(starts[index + 1]?.number ?? null);
        expect(window.next === null).toBe(index < starts.length - 1);
      }
      expect(html).toBe(expected);
    }
  });

  test("a line is in the window that has it", async () => {
    const starts = await windowsOf(chunks(text, 4096));
    for (const line of [1, WINDOW_LINES, LINES]) {
      const index = windowOfLine(starts, line);
      const start = starts[index];
      const window = await readWindow(
        chunks(new TextEncoder().encode(text).subarray(start?.offset), 4096),
        starts,
        index,
      );
      expect(window.lines.some(({ number }) => number === line)).toBe(true);
    }
    expect(windowOfLine(starts, 1e9)).toBe(starts.length - 1);
    expect(windowOfLine(starts, -5)).toBe(0);
  });

  test("of nothing but line feeds is no larger page than another", async () => {
    const feeds = "\n".repeat(100_000);
    const starts = await windowsOf(chunks(feeds, 65_536));
    const window = await readWindow(chunks(feeds, 65_536), starts, 0);
    expect(window.lines.length).toBeLessThanOrEqual(WINDOW_LINES + 2048);
    expect(await windowsOf(chunks("", 1))).toHaveLength(1);
  });

  test("is searched whatever the case and the colours, up to a bound", async () => {
    const found = await findLines(chunks("one\n\x1b[31mT\x1b[0mwo\nTWO <b>", 3), "two");
    expect(found.lines.map(({ number }) => number)).toEqual([2, 3]);
    expect(found.more).toBe(false);
    const many = await findLines(chunks("x\n".repeat(1000), 100), "X");
    expect([many.lines.length, many.more]).toEqual([500, true]);
  });

  test("as HTML has no element but its own", () => {
    const reader = new ConsoleReader();
    const html = linesHtml(
      reader.read(new TextEncoder().encode(`<b>"&'</b>\x1b[31m</div>\x1b[0m\n`)),
      new Set([1]),
      () => `"><i>`,
    );
    expect(XMLValidator.validate(html)).toBe(true);
    expect(html.match(/<[a-z]+/g)).toEqual(["<div", "<a", "<span"]);
    expect(html).toContain('class="l bad"');
  });
});

describe("the grid of a batch", () => {
  const member = (index: number, request: Readonly<Record<string, unknown>>): MemberView => ({
    index,
    name: `m${index}`,
    job: null,
    state: "waiting",
    verdict: null,
    reason: null,
    reasonCode: null,
    instructions: 0,
    guestSeconds: 0,
    runSeconds: 0,
    startedAt: null,
    endedAt: null,
    request,
    links: { job: null },
  });

  test("has the longest axis down, the next one across, the others in the cells, and every member once", () => {
    const members: MemberView[] = [];
    for (const fixture of ["a", "b"])
      for (const memory of [64, 128, 256])
        for (const cmdline of ["quiet", "x".repeat(100)])
          members.push(
            member(members.length, {
              kernel: { fixture },
              config: { memory, cmdline, mode: "pv", labels: { name: `${members.length}` } },
            }),
          );
    const grid = gridOf(members);
    expect(grid).toMatchObject({
      rowAxis: "memory",
      columnAxis: "kernel",
      columns: ["a", "b"],
      others: ["cmdline"],
    });
    const cells = grid?.rows.flatMap(({ cells: row }) => row) ?? [];
    expect(cells.map((cell) => cell.length)).toEqual([2, 2, 2, 2, 2, 2]);
    expect(new Set(cells.flat()).size).toBe(12);
  });

  test("of members that have nothing in common, or no difference, is none", () => {
    expect(gridOf([member(0, { a: 1 }), member(1, { b: 1 })])).toBeUndefined();
    expect(gridOf([member(0, { a: 1 }), member(1, { a: 1 })])).toBeUndefined();
    expect(gridOf([])).toBeUndefined();
    expect(gridOf([member(0, { memory: 1 }), member(1, { memory: 2 })])).toMatchObject({
      columnAxis: null,
      rows: [{ value: "1" }, { value: "2" }],
    });
  });
});

test("a batch of one axis is tiles by its values, and its reports are those of a job", () => {
  const members = [64, 128].map(
    (memory, index) =>
      ({
        name: `m${index}`,
        job: null,
        state: "waiting",
        verdict: null,
        reason: null,
        request: { config: { memory } },
      }) as unknown as MemberView,
  );
  const batch = {
    id: "ab",
    name: "sweep",
    state: "ended",
    verdict: "pass",
    verdicts: {},
    jobs: { total: 2, ended: 2, running: 0, waiting: 0 },
    createdAt: "2026-01-01T00:00:00Z",
  } as unknown as BatchView;
  const html = String(Batch({ batch, members, next: null, mayChange: false, now: 0 }));
  expect(html).not.toContain("<table");
  expect(html).toMatch(/By memory:.*class="tiles".*>64<\/.*>128<\//s);
  for (const file of ["report.json", "report.xml", "report.ktap", "report.kcidb", "report.md", "badge.svg"])
    expect(html).toContain(`href="/batches/ab/${file}"`);
});

test("a batch says why jobs went wrong: those that were refused have no page that would", () => {
  const member = (name: string, more: object) => ({ name, job: null, reason: null, request: {}, ...more });
  const members = [
    member("fine", { job: "aa", state: "passed", verdict: "pass", reason: "Seen: /ok/." }),
    member("small", { state: "refused", verdict: "error", reason: "4 MiB are too little <here>." }),
    member("broken", { job: "bb", state: "crashed", verdict: "crash", reason: "Kernel panic" }),
    member("not yet", { job: "cc", state: "running", verdict: null }),
  ] as unknown as MemberView[];
  const batch = {
    id: "ab",
    name: "sweep",
    state: "running",
    verdict: null,
    verdicts: {},
    jobs: { total: 4, ended: 3, running: 1, waiting: 0 },
    createdAt: "2026-01-01T00:00:00Z",
  } as unknown as BatchView;
  const html = String(Batch({ batch, members, next: null, mayChange: false, now: 0 }));
  const problems = html.slice(html.indexOf("What went wrong"));
  expect(problems).toMatch(
    /small.*4 MiB are too little &lt;here&gt;\..*href="\/jobs\/bb">broken<.*Kernel panic/s,
  );
  expect(problems).not.toMatch(/fine|not yet/);
});

test("a job's details say whom it told and what came of it, and link its figures", () => {
  const job = {
    id: "ab",
    fixture: "hello",
    kernel: { sha256: "0".repeat(64), size: 1 },
    initrd: null,
    from: null,
    config: parseConfig({}, () => 0),
  };
  const delivery = {
    type: "job.ended",
    url: "https://hooks.example/<x>",
    state: "failed",
    attempts: 3,
    lastStatus: 503,
    lastError: "refused",
  };
  const detailsOf = (more: object): string =>
    String(Details({ job, deliveries: [], ...more } as unknown as JobPageData));
  const html = detailsOf({ deliveries: [delivery], profile: {}, hypercalls: {} });
  expect(html).toContain("Deliveries: 1 failed");
  expect(html).toContain("https://hooks.example/&lt;x&gt;");
  expect(html).toContain("503, refused");
  for (const address of ["/jobs/ab/deliveries", "/jobs/ab/hypercalls", "/jobs/ab/profile?format=folded"])
    expect(html).toContain(`href="${address}"`);
  expect(detailsOf({})).not.toMatch(/Deliveries|Figures/);
});

describe("the form of a new job", () => {
  test("asks for what was filled in and nothing else, in a way that the job's schema takes", () => {
    const order = orderOf({
      ...EMPTY_FORM,
      fixture: "hello",
      name: "mine",
      memory: "64",
      pass: "login:\r\n\r\nREADY",
      guestSeconds: "1.5",
      labels: "branch=main\r\nurl=https://x/?a=b",
      more: '{"seed": 7, "expect": {"fail": ["BUG"]}, "limits": {"graceSeconds": 1}}',
    });
    expect(order).toEqual({
      kernel: { fixture: "hello" },
      config: {
        seed: 7,
        memory: 64,
        expect: { fail: ["BUG"], pass: ["login:", "READY"] },
        limits: { graceSeconds: 1, guestSeconds: 1.5 },
        labels: { branch: "main", url: "https://x/?a=b", name: "mine" },
      },
    });
    expect(parseConfig(order.config, () => 0)).toMatchObject({ memory: 64, seed: "7" });
    expect(orderOf({ ...EMPTY_FORM, kernelSha256: "ab", initrdSha256: "cd" })).toEqual({
      kernel: { sha256: "ab" },
      initrd: { sha256: "cd" },
      config: {},
    });
  });

  test("says what is wrong in its own notation", () => {
    for (const wrong of [
      {},
      { fixture: "x", labels: "no value" },
      { fixture: "x", more: "[1]" },
      { fixture: "x", more: "{" },
    ])
      expect(() => orderOf({ ...EMPTY_FORM, ...wrong })).toThrow(HttpError);
  });
});

test("two jobs are compared by everything that they were asked for, but not by what changes no run", () => {
  const job = (config: object, initrd: string | null): JobView =>
    ({
      config: parseConfig(config, () => 0),
      initrd: initrd === null ? null : { sha256: initrd, size: 1 },
      from: null,
    }) as JobView;
  const before = job({ memory: 64, labels: { name: "a" }, expect: { pass: ["up"] } }, "ab".repeat(32));
  const now = job({ memory: 256, mode: "pvh", cmdline: "quiet", seed: 7, expect: { pass: ["up"] } }, null);
  expect(differencesOf(before, before)).toEqual([]);
  const rows = differencesOf(before, now);
  expect(rows.map(([name]) => name).sort()).toEqual(["initrd", "memory", "mode", "seed"]);
  expect(rows).toContainEqual(["memory", "64", "256"]);
  expect(rows).toContainEqual(["initrd", "abababababab", "–"]);
});

test("numbers, times and names in words", () => {
  expect([si(0), si(999), si(2_741_023_869), si(1e12, "B")]).toEqual(["0", "999", "2.74 G", "1 TB"]);
  expect([bytes(1), bytes(1023), bytes(1024), bytes(64 << 20)]).toEqual([
    "1 byte",
    "1020 bytes",
    "1 KiB",
    "64 MiB",
  ]);
  expect([seconds(0), seconds(0.0123), seconds(2.74), seconds(75), seconds(7260)]).toEqual([
    "0 s",
    "12.3 ms",
    "2.74 s",
    "1 min 15 s",
    "2 h 1 min",
  ]);
  expect([
    percent(0),
    percent(0.5),
    percent(1),
    percent(0.99999),
    percent(0.9999999),
    percent(0.0001),
  ]).toEqual(["0 %", "50 %", "100 %", "99.999 %", "99.999 %", "0.01 %"]);
  expect([change(0), change(0.5), change(-12.34), change(0.00001)]).toEqual([
    "±0 %",
    "+0.5 %",
    "−12.3 %",
    "+<0.001 %",
  ]);
  expect(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T02:00:00Z"))).toBe("2 h ago");
  expect(visible("a\0\u202eb\x1b\nc")).toBe("a␀\ufffdb␛\nc");
});

test("only addresses of the web are links", () => {
  expect(webAddress("https://git.kernel.org/a?b#c")).toBe("https://git.kernel.org/a?b#c");
  for (const bad of [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " https://x",
    "data:text/html,x",
    "//x",
    "https://u:p@x/",
    "http://[",
    "x",
    "",
  ])
    expect([bad, webAddress(bad)]).toEqual([bad, undefined]);
});
