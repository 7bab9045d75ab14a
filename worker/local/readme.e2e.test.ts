import { execFile } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import type { JobView } from "../runner/record.ts";
import type { Client } from "./client.ts";
import { LocalServer } from "./server.ts";
import { availableFixture, testWith } from "./testing/guests.ts";

/*
 * What README.md says to type works. Every block of shell in it that uses curl is run as it stands, in order, by a shell that
 * keeps its variables from one to the next, against a worker on this machine; only the address and the token are put in. An
 * answer that is an error ends the block. Blocks whose first line says "On Cloudflare" need an account and are left out.
 */

const run = promisify(execFile);
const CLOUDFLARE = /^# On Cloudflare\b/;
const README = await readFile(join(import.meta.dirname, "..", "..", "README.md"), "utf8");

interface Block {
  readonly title: string;
  readonly text: string;
}

const blocks: Block[] = [...README.matchAll(/^```sh\n(.*?)^```$/gms)]
  .map(({ 1: text = "", index }) => {
    const title =
      README.slice(0, index)
        .match(/^#+ .*$/gm)
        ?.at(-1) ?? "";
    return { title: title.replace(/^#+ /, ""), text };
  })
  .filter(({ text }) => /\bcurl\b/.test(text));
const runnable = blocks.filter(({ text }) => !CLOUDFLARE.test(text));

const hello = await prepareFixture("hello", { log: () => {} });
const debian = await availableFixture("debian-cloud");

let server: LocalServer;
let client: Client;
let directory: string;

beforeAll(async () => {
  server = await LocalServer.start();
  client = server.client();
  directory = await mkdtemp(join(tmpdir(), "xenner-readme-"));
  await server.storeFixture(hello);
  if (debian !== undefined) await server.storeFixture(debian);
  // What the reader is assumed to have.
  await copyFile(hello.kernelPath, join(directory, "bzImage"));
  await writeFile(join(directory, "initrd.cpio.gz"), "any file will do");
  // An answer of 400 and above is an error of curl's, and its body is shown.
  await writeFile(join(directory, ".curlrc"), "fail-with-body\nshow-error\n");
});
afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Runs a block where the last one left off; what it printed. */
async function shell(text: string): Promise<string> {
  const filled = text
    .replace(/^URL=http:\S+/m, `URL=${server.url}`)
    .replace(/^([A-Z]*TOKEN)=….*$/m, `$1=${server.token}`);
  const script = `set -euo pipefail\n[ ! -e .variables ] || . ./.variables\nset -a\n${filled}\nset +a\nexport -p > .variables\n`;
  const env = { PATH: process.env.PATH ?? "", HOME: directory, LANG: "C.UTF-8" };
  const { stdout } = await run("bash", ["-c", script], {
    cwd: directory,
    env,
    maxBuffer: 1 << 26,
    timeout: 580_000,
  });
  return stdout;
}

async function variable(name: string): Promise<string> {
  const text = await readFile(join(directory, ".variables"), "utf8");
  return new RegExp(`^declare -x ${name}="(.*)"$`, "m").exec(text)?.[1] ?? "";
}

async function jobIn(name: string): Promise<JobView> {
  return client.job(await variable(name));
}

test("no example is left out but those that need an account", () => {
  const inline = README.match(/\bcurl -/g)?.length ?? 0;
  const inBlocks = blocks.reduce((sum, { text }) => sum + (text.match(/\bcurl -/g)?.length ?? 0), 0);
  expect(inBlocks).toBe(inline);
  expect(runnable.length).toBeGreaterThanOrEqual(2);
  for (const { text } of blocks)
    if (!runnable.some((block) => block.text === text)) expect(text).toMatch(/https:/);
});

describe("blocks", () => {
  for (const [index, { title, text }] of runnable.entries()) {
    testWith(text.includes("debian-cloud") ? debian : hello)(`${index + 1}: ${title}`, async () => {
      const printed = await shell(text);
      // Nothing that was asked for was empty, or an error that was taken for an answer.
      expect(printed).not.toMatch(/"error":|\bnull\n/);
      if (text.includes("-F kernel=@bzImage")) {
        // The kernel that stands in for the reader's prints no "login:".
        expect(await jobIn("JOB")).toMatchObject({ state: "failed", reasonCode: "pattern-missing" });
        expect(printed).toContain("HELLO-OK");
      }
      if (text.includes("FORK=")) {
        expect(await jobIn("FORK")).toMatchObject({
          verdict: "pass",
          steps: [{ wait: "# $" }, { wait: "^42" }],
        });
        expect(printed).toMatch(/^42\r?$/m);
      }
    });
  }
});

test("an example with a mistake is noticed", async () => {
  await expect(shell('curl -s -H "$AUTH" $URL/jobs/nothing')).rejects.toThrow(/no-job|curl/);
});
