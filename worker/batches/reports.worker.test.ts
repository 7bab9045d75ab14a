import { expect, test } from "vitest";
import { errorOf, request } from "../testing/client.ts";
import type { Script } from "../testing/scripted-machine.ts";
import { batchEnd, createBatch, createBatchOf, stored } from "./testing.ts";

/*
 * Reports of a batch over HTTP: every job is in each of them, also those that were refused or canceled, with what its console
 * said; that the formats are right is tested with their writers. And a large batch's report comes, without a job's object asked.
 */

const POWEROFF = { kind: "shutdown", reason: "poweroff", code: 0 } as const;
const PASSES: Script = { name: "reported", events: [{ at: 1000, print: "BOOT-OK\n", end: POWEROFF }] };
const PANICS: Script = {
  name: "panics",
  events: [
    {
      at: 1000,
      print:
        "[    0.000000] Linux version 6.1.0\n[    1.000000] Kernel panic - not syncing: No working init found.\n[    1.1] end\nTAP version 13\n1..1\nnot ok 1 inner-test\n",
      end: { kind: "shutdown", reason: "crash", code: 3 },
    },
  ],
};

const report = (id: string, extension: string): Promise<Response> =>
  request(`/batches/${id}/report.${extension}`);

test("each report has all jobs, and what their consoles said", async () => {
  const { id } = await createBatch({
    name: "nightly",
    jobs: [
      { kernel: await stored(PASSES), config: { labels: { name: "good" } } },
      { kernel: await stored(PANICS), config: { labels: { name: "bad" } } },
      { kernel: { fixture: "unheard-of" }, config: { labels: { name: "ugly" } } },
    ],
  });
  await batchEnd(id);
  const json = (await (await report(id, "json")).json()) as {
    verdict: string;
    jobs: {
      labels: object;
      verdict: string;
      events: { kind: string }[];
      url: string | null;
      reason: string;
    }[];
  };
  expect(json.verdict).toBe("error");
  expect(json.jobs.map(({ labels, verdict }) => [labels, verdict])).toEqual([
    [{ name: "good" }, "pass"],
    [{ name: "bad" }, "crash"],
    [{ name: "ugly" }, "error"],
  ]);
  expect(json.jobs[1]?.events[0]?.kind).toBe("no-init");
  expect(json.jobs[0]?.url).toMatch(/^http:\/\/worker\/jobs\/[0-9a-f]{32}$/);
  expect(json.jobs[2]?.url).toBeNull();
  expect(json.jobs[2]?.reason).toMatch(/unheard-of/);

  const xml = await report(id, "xml");
  expect(xml.headers.get("content-type")).toBe("application/xml; charset=utf-8");
  const junit = await xml.text();
  expect(junit).toContain('<testsuites name="xenner" tests="4" failures="2" errors="1"');
  expect(junit).toContain("inner-test");
  expect(await (await report(id, "ktap")).text()).toMatch(
    /^KTAP version 1\n1\.\.3\n(?:.|\n)*\nnot ok 3 ugly/,
  );
  const kcidb = (await (await report(id, "kcidb")).json()) as { tests: { path: string; status: string }[] };
  expect(kcidb.tests.filter(({ path }) => path === "boot").map(({ status }) => status)).toEqual([
    "PASS",
    "FAIL",
    "MISS",
  ]);
  const markdown = await (await report(id, "md")).text();
  expect(markdown).toContain("### xenner: error — `nightly`, 3 jobs, 1 passed");
  expect(markdown).toContain("No working init found");
  const badge = await request(`/batches/${id}/badge.svg`);
  expect(badge.headers.get("content-type")).toBe("image/svg+xml; charset=utf-8");
  expect(await badge.text()).toContain("nightly: error");
  const none = await report(id, "pdf");
  expect(none.status).toBe(404);
  expect((await errorOf(none)).message).toContain("report.kcidb");
  expect((await request(`/batches/${"0".repeat(32)}/report.json`)).status).toBe(404);
  expect((await request(`/batches/${"0".repeat(32)}/badge.svg`)).status).toBe(404);
});

test("of 10,000 jobs: a report streams, and a badge says what is", async () => {
  const members = Array.from({ length: 10_000 }, (_, i) => ({ name: `member-${i}-`, config: { seed: i } }));
  const common = { kernel: { sha256: "0".repeat(64) }, config: {} };
  const id = await createBatchOf("root", members, common, { maxConcurrent: 0 });
  expect(await (await request(`/batches/${id}/badge.svg`)).text()).toContain("batch: queued");
  await request(`/batches/${id}`, { method: "DELETE" });
  const response = await report(id, "xml");
  let characters = 0;
  let suites = 0;
  let largest = 0;
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    const text = decoder.decode(chunk, { stream: true });
    characters += text.length;
    largest = Math.max(largest, text.length);
    suites += text.split("<testsuite ").length - 1;
  }
  // A tag may lie across two chunks.
  expect(suites).toBeGreaterThan(9_900);
  expect(characters).toBeGreaterThan(4_000_000);
  expect(largest).toBeLessThan(200_000);
});
