import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import type { ErrorBody } from "../errors.ts";
import type { JobView } from "../runner/record.ts";
import { COMPATIBILITY, LocalServer } from "./server.ts";
import {
  availableFixture,
  EM_ARM,
  EM_X86_64,
  elfWithoutNotes,
  testWith,
  withLargeSegment,
} from "./testing/guests.ts";

/*
 * The whole product over real HTTP: a workerd with the built worker, our own guest, and the files people send by mistake.
 */

const hello = await prepareFixture("hello", { log: () => {} });
const helloKernel = Uint8Array.from(await readFile(hello.kernelPath));
const debian = await availableFixture("debian-cloud");
let server: LocalServer;

beforeAll(async () => {
  server = await LocalServer.start();
});
afterAll(() => server.stop());

/** POST /jobs as `curl -F` does it. */
async function post(kernel: Uint8Array<ArrayBuffer>, config: unknown): Promise<Response> {
  const form = new FormData();
  form.set("kernel", new Blob([kernel]), "kernel");
  form.set("config", JSON.stringify(config));
  const headers = { authorization: `Bearer ${server.token}` };
  return fetch(new URL("/jobs", server.url), { method: "POST", headers, body: form });
}

async function runHello(): Promise<{ job: JobView; console: string }> {
  const { cmdline, memoryMiB: memory, expect } = hello;
  const response = await post(helloKernel, { cmdline, memory, expect });
  const { id } = (await response.json()) as JobView;
  const chunks: Uint8Array[] = [];
  const job = await server.client().followConsole(id, (bytes) => chunks.push(bytes));
  return { job, console: Buffer.concat(chunks).toString() };
}

test("hello boots, passes, and has statistics", async () => {
  const { job, console } = await runHello();
  expect(job).toMatchObject({ state: "passed", verdict: "pass", reasonCode: "patterns-seen" });
  expect(console).toMatch(/HELLO-OK/);
  const statistics = await server.client().hypercalls(job.id);
  expect(statistics?.totals.calls).toBeGreaterThan(0);
  expect(statistics?.hypercalls.map(({ hypercall }) => hypercall)).toContain("console_io");
});

test("the same job again gives the same console and the same instruction count", async () => {
  const [first, second] = [await runHello(), await runHello()];
  expect(second.console).toBe(first.console);
  expect(second.job.instructions).toBe(first.job.instructions);
  expect(second.job.guestSeconds).toBe(first.job.guestSeconds);
});

test("a fixture is posted by its name", async () => {
  await server.storeFixture(hello);
  const client = server.client();
  const { id } = await client.createJob({ kernel: { fixture: "hello" } });
  expect(await client.followConsole(id, () => {})).toMatchObject({ verdict: "pass", fixture: "hello" });
});

describe("files sent by mistake are refused with the field and a remedy, and the worker serves on", () => {
  const refused: [string, () => Uint8Array<ArrayBuffer>, RegExp, string?][] = [
    ["an empty file", () => new Uint8Array(0), /empty/],
    [
      "a text file",
      () => Uint8Array.from(new TextEncoder().encode("# README\n\nThis is not a kernel.\n".repeat(100))),
      /text|not|neither/i,
    ],
    ["an ELF without Xen notes", () => elfWithoutNotes(EM_X86_64, 64), /Xen/],
    ["a 32-bit ARM kernel", () => elfWithoutNotes(EM_ARM, 32), /ARM|processor|x86/],
    [
      "a kernel too large for its memory",
      () => withLargeSegment(helloKernel, 100n << 20n),
      /memory: .*Give the guest at least/,
      "config.memory",
    ],
    ["a truncated ELF", () => helloKernel.slice(0, 5000), /end|truncated|complete/i],
  ];
  for (const [name, kernel, message, field] of refused) {
    test(name, async () => {
      await expectRefused(await post(kernel(), { memory: 16 }), message, field);
      expect((await runHello()).job.verdict).toBe("pass");
    });
  }

  testWith(debian)("a truncated bzImage, and one too large for its memory", async () => {
    const kernel = new Uint8Array(await readFile(debian!.kernelPath));
    await expectRefused(await post(kernel.slice(0, kernel.length >> 1), {}), /end|truncated|complete/i);
    await expectRefused(
      await post(kernel, { memory: 32 }),
      /memory: .*Give the guest at least/,
      "config.memory",
    );
    expect((await runHello()).job.verdict).toBe("pass");
  });

  async function expectRefused(response: Response, message: RegExp, field = "kernel"): Promise<void> {
    const body = (await response.json()) as ErrorBody;
    expect([400, 413, 422]).toContain(response.status);
    expect(body.error.field).toBe(field);
    expect(body.error.message).toMatch(message);
    // What is wrong, then what to do.
    expect(body.error.message).toMatch(/\. [A-Z].*\.$/s);
  }
});

test("the local worker runs with the settings of wrangler.toml", async () => {
  const toml = await readFile(join(import.meta.dirname, "..", "..", "wrangler.toml"), "utf8");
  expect(toml).toContain(`compatibility_date = "${COMPATIBILITY.date}"`);
  const [, flags = "[]"] = /^compatibility_flags = (\[.*\])$/m.exec(toml) ?? [];
  expect(JSON.parse(flags)).toEqual(COMPATIBILITY.flags);
});
