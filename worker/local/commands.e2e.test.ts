import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/*
 * `npm start` and `npm run dev` as a person or a CI system runs them: what they print, how they exit, and that nothing of
 * them is left behind.
 */

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "xenner-test-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(script: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function npmStart(...args: string[]): Promise<Ended> {
  const child = start("start.ts", args);
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, stdout, stderr };
}

describe("npm start", () => {
  test("shows the console, the verdict and the hypercall table; status 0", async () => {
    const { status, stdout } = await npmStart("--fixture", "hello");
    expect(stdout).toMatch(
      /HELLO-OK[\s\S]*PASS[\s\S]*instructions [\d,]+[\s\S]*console_io[\s\S]*served without leaving the guest/,
    );
    expect(status).toBe(0);
  });

  test("--json prints one document and nothing else", async () => {
    const { status, stdout } = await npmStart("--fixture", "hello", "--json");
    const document = JSON.parse(stdout) as Record<string, unknown>;
    expect(document).toMatchObject({
      verdict: "pass",
      reason: expect.any(String),
      instructions: expect.any(Number),
      seconds: expect.any(Number),
      console: expect.stringContaining("HELLO-OK"),
      hypercalls: { totals: { calls: expect.any(Number) } },
    });
    expect(status).toBe(0);
  });

  test("status 1 when the guest does not do what was expected", async () => {
    const { status, stdout } = await npmStart("--fixture", "hello", "--expect", "NEVER-PRINTED", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: "fail",
      reasonCode: "pattern-missing",
      reason: expect.stringContaining("/NEVER-PRINTED/"),
    });
    expect(status).toBe(1);
  });

  test("status 1 when a limit is exceeded", async () => {
    const { status, stdout } = await npmStart(
      "--fixture",
      "hello",
      "--limit-instructions",
      "200_000",
      "--json",
    );
    expect(JSON.parse(stdout)).toMatchObject({
      state: expect.stringMatching(/timeout|failed/),
      instructions: 200_000,
    });
    expect(status).toBe(1);
  });

  test("--snapshot writes a file from which --from goes on as if there had been no break", async () => {
    const file = join(directory, "hello.xsn");
    const consoleOf = ({ stdout }: Ended): string => (JSON.parse(stdout) as { console: string }).console;
    const whole = await npmStart("--fixture", "hello", "--json");
    const first = await npmStart(
      "--fixture",
      "hello",
      "--limit-instructions",
      "200_000",
      "--snapshot",
      file,
      "--json",
    );
    expect(first.stderr).toMatch(/snapshot of instruction 200,000/);
    const second = await npmStart("--from", file, "--expect", "HELLO-OK", "--json");
    const { instructions } = JSON.parse(whole.stdout) as { instructions: number };
    expect(JSON.parse(second.stdout)).toMatchObject({
      verdict: "pass",
      instructions,
      from: { instructions: 200_000, since: { instructions: instructions - 200_000 } },
    });
    expect(consoleOf(first) + consoleOf(second)).toBe(consoleOf(whole));
    expect(second.status).toBe(0);
    // A second one of a guest that is no more.
    const over = join(directory, "over.xsn");
    await npmStart("--from", file, "--snapshot", over);
    const refused = await npmStart("--from", over);
    expect(refused.stderr).toMatch(/the guest had ended \(poweroff\)/);
    expect(refused.status).toBe(64);
  });

  test("status 2 when the worker cannot be reached", async () => {
    const { status, stderr } = await npmStart(
      "--fixture",
      "hello",
      "--url",
      "http://127.0.0.1:9",
      "--token",
      "x",
    );
    expect(stderr).toMatch(/infrastructure error/);
    expect(status).toBe(2);
  });

  test("status 64 for wrong use, with a hint", async () => {
    const text = join(directory, "text");
    await writeFile(text, "no kernel");
    const wrong: [string[], RegExp][] = [
      [["--fixtrue", "hello"], /did you mean --fixture/],
      [["--fixture", "none"], /hello/],
      [["--fixture", "hello", "--kernel", "x"], /exclude/],
      [["--from", "x", "--kernel", "x"], /exclude/],
      [["--from", "/nowhere"], /no file/],
      [["--from", text], /no snapshot/],
      [["--fixture", "hello", "--input", "[x"], /no JSON/],
      [["--fixture", "hello", "--snapshot-at", "x"], /goes with --snapshot/],
      [["--kernel", "/nowhere/vmlinuz"], /no file/],
      [["--memory", "lots", "--fixture", "hello"], /number/],
      [["positional"], /positional/i],
      [["--kernel", text], /refused: kernel/],
      [["--fixture", "hello", "--expect", "("], /refused: config.expect.pass/],
    ];
    for (const [args, message] of wrong) {
      const { status, stdout, stderr } = await npmStart(...args);
      expect([args, status, stdout]).toEqual([args, 64, ""]);
      expect(stderr).toMatch(message);
    }
  });

  test("--help and --list", async () => {
    expect(await npmStart("--help")).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/Usage: npm start[\s\S]*Exit status/),
    });
    expect(await npmStart("--list")).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^hello .*\n[\s\S]*^debian-cloud /m),
    });
  });
});

describe("npm run dev", () => {
  interface Dev {
    readonly child: ChildProcess;
    readonly url: string;
    readonly token: string;
  }

  async function npmRunDev(...args: string[]): Promise<Dev> {
    const child = start("dev.ts", args);
    const [line] = (await once(createInterface({ input: child.stdout! }), "line")) as [string];
    return { child, ...(JSON.parse(line) as { url: string; token: string }) };
  }

  const answers = (url: string): Promise<boolean> =>
    fetch(new URL("/healthz", url)).then(
      (response) => response.ok,
      () => false,
    );

  async function expectGone(url: string): Promise<void> {
    await expect.poll(() => answers(url)).toBe(false);
  }

  test("prints its address first, asks for its token, and goes away on SIGTERM", async () => {
    const { child, url, token } = await npmRunDev("--port", "0");
    const status = async (headers: Record<string, string>) =>
      (await fetch(new URL("/fixtures", url), { headers })).status;
    expect(new URL(url).hostname).toBe("127.0.0.1");
    expect(await status({})).toBe(401);
    expect(await status({ authorization: `Bearer ${token}` })).toBe(200);
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
    await expectGone(url);
  });

  test("takes its workerd with it even when it is killed", async () => {
    const { child, url } = await npmRunDev("--port", "0");
    expect(await answers(url)).toBe(true);
    child.kill("SIGKILL");
    await once(child, "exit");
    await expectGone(url);
  });

  test("goes away with the npm that started it, whether npm is asked or killed", async () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const npm = spawn("npm", ["run", "--silent", "dev", "--", "--port", "0"], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      const [line] = (await once(createInterface({ input: npm.stdout }), "line")) as [string];
      const { url } = JSON.parse(line) as { url: string };
      npm.kill(signal);
      await expectGone(url);
    }
  });

  test("wrong use is status 64", async () => {
    const child = start("dev.ts", ["--port", "x"]);
    expect(await once(child, "exit")).toEqual([64, null]);
  });
});
