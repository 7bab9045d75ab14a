/*
 * The client as scripts and people use it: with a worker that runs, each command as a program of its own, and what its exit status says. On a
 * terminal (a pseudo-terminal of Python's) there is a bar; in CI there are lines.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { prepareFixture } from "../../../r2-fixtures/index.ts";
import { LocalServer } from "../server.ts";
import { ENDLESS_CONFIG, endlessKernel } from "../testing/guests.ts";

const CLEAR_LINE = "\r\u001b[K";
const ENTRY = join(import.meta.dirname, "entry.ts");
let server: LocalServer;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "xenner-cli-"));
  server = await LocalServer.start({ directory: join(directory, "data") });
  await server.storeFixture(await prepareFixture("hello", { log: () => {} }));
});
afterAll(async () => {
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function xenner(args: readonly string[], environment: Record<string, string> = {}): Promise<Ended> {
  const env = { ...process.env, XENNER_URL: server.url, XENNER_TOKEN: server.token, ...environment };
  const child = spawn(process.execPath, [ENTRY, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, stdout, stderr };
}

test("submit, watch, logs, report, list and cancel, with statuses for pass, fail, refused and unauthorized", async () => {
  const good = await xenner(["submit", "--fixture", "hello", "--label", "name=good"]);
  expect(good).toMatchObject({ status: 0, stdout: expect.stringMatching(/^[0-9a-f]{32}\n$/) });
  const id = good.stdout.trim();

  const watched = await xenner(["watch", id]);
  expect(watched.status).toBe(0);
  expect(watched.stdout).toMatch(/HELLO-OK[\s\S]*PASS[\s\S]*served without leaving the guest/);
  const document = await xenner(["watch", "--json", `${server.url}/jobs/${id}`]);
  expect(JSON.parse(document.stdout)).toMatchObject({ id, verdict: "pass", hypercalls: { totals: {} } });

  const whole = (await xenner(["logs", id])).stdout;
  expect(watched.stdout.startsWith(whole)).toBe(true);
  expect((await xenner(["logs", "--follow", "--offset", "10", id])).stdout).toBe(whole.slice(10));

  const junit = join(directory, "junit.xml");
  expect((await xenner(["report", id, "xml", "--output", junit])).status).toBe(0);
  expect(await readFile(junit, "utf8")).toMatch(/^<\?xml[\s\S]*<testsuites/);
  expect((await xenner(["report", id, "ktap"])).stdout).toMatch(/^KTAP version 1\n/);

  const bad = await xenner([
    "submit",
    "--fixture",
    "hello",
    "--expect",
    "NEVER",
    "--label",
    "name=bad",
    "--json",
  ]);
  const failed = JSON.parse(bad.stdout) as { id: string };
  expect((await xenner(["watch", failed.id])).status).toBe(1);
  const listed = await xenner(["list", "--verdict", "fail"]);
  expect(listed.stdout.split("\n").slice(1)).toEqual([expect.stringMatching(`^${failed.id} .* bad `), ""]);
  expect((await xenner(["cancel", failed.id])).status).toBe(0);

  expect((await xenner(["watch", "0".repeat(32)])).status).toBe(64);
  expect(await xenner(["submit", "--fixture", "hello", "--expect", "("])).toMatchObject({
    status: 64,
    stderr: expect.stringContaining("config.expect.pass"),
  });
  expect((await xenner(["list"], { XENNER_TOKEN: "wrong" })).status).toBe(64);
  // An empty variable in a script must not boot something else.
  expect(await xenner(["submit"])).toMatchObject({ status: 64, stderr: expect.stringContaining("--kernel") });
});

test("run writes the reports it is asked for; tuxrun's names do as well as ours", async () => {
  const { kernelPath } = await prepareFixture("hello", { log: () => {} });
  const junit = join(directory, "run.xml");
  const markdown = join(directory, "run.md");
  const args = ["run", "--kernel", kernelPath, "--boot-args", "console=hvc0", "--expect", "HELLO-OK"];
  const ended = await xenner([
    ...args,
    "--url",
    server.url,
    "--token",
    server.token,
    "--junit",
    junit,
    "--report",
    `md=${markdown}`,
  ]);
  expect(ended.status).toBe(0);
  const xml = await readFile(junit, "utf8");
  expect(xml).toContain('failures="0"');
  // Without labels it is called by its kernel's file.
  expect(xml).toContain(`<testcase name="${basename(kernelPath)}" classname="boot"`);
  expect(await readFile(markdown, "utf8")).toMatch(/pass/i);
});

test("a terminal gets a bar that goes when the verdict comes; without one, and in CI, there is none", async (context) => {
  if (spawnSync("python3", ["-c", "import pty"]).status !== 0) {
    if (process.env.CI === "true") throw new Error("python3 is missing: install it");
    return context.skip("python3 is missing");
  }
  const program = `import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    sys.stdout.buffer.write(data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;
  const file = join(directory, "endless");
  await writeFile(file, endlessKernel());
  const client = server.client();
  /** Watches a guest that would run for ever on a terminal, and has it canceled as soon as `enough` is true of what was printed. */
  const onTerminal = async (
    extra: Record<string, string>,
    enough: (stdout: string) => boolean,
  ): Promise<Omit<Ended, "stderr">> => {
    const kernel = { sha256: await client.putFile(file) };
    const { id } = await client.createJob({ kernel, config: ENDLESS_CONFIG });
    const env = {
      ...process.env,
      CI: "",
      TERM: "xterm",
      XENNER_URL: server.url,
      XENNER_TOKEN: server.token,
      ...extra,
    };
    const child = spawn("python3", ["-c", program, process.execPath, ENTRY, "watch", id], { env });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    const ended = once(child, "close") as Promise<[number | null]>;
    await expect.poll(() => enough(stdout), { timeout: 120_000 }).toBe(true);
    await client.cancel(id);
    const [status] = await ended;
    return { status, stdout };
  };
  const bar = new RegExp(`${CLEAR_LINE.replace("[", "\\[")}\\[[ <=>]{24}\\] \\w+ {2}\\d+ s, `);
  const shown = await onTerminal({}, (stdout) => bar.test(stdout));
  expect(shown.status).toBe(2);
  expect(shown.stdout).toContain("CANCELED");
  // The last thing that happens to the bar is that it goes.
  expect(shown.stdout.slice(0, shown.stdout.indexOf("CANCELED"))).toMatch(/\[K\s*$/);
  // As long as six bars would have taken.
  const began = performance.now();
  const inCi = await onTerminal({ CI: "true" }, () => performance.now() - began > 3000);
  expect(inCi.stdout).toContain("CANCELED");
  expect(inCi.stdout).not.toContain(CLEAR_LINE);
});
