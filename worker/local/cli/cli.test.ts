/*
 * Somebody types. What he means is done or he is told what to type instead; shells complete what he began; and a line at the bottom of
 * his terminal says how far the guest is.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import type { JobView } from "../../runner/record.ts";
import { main } from "./main.ts";
import { barOf, progressText } from "./progress.ts";

const XENNER = join(import.meta.dirname, "xenner.js");

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command in this process: starting one costs more than most commands do. */
async function xenner(...args: string[]): Promise<Ended> {
  const texts = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      texts[name] += text.toString();
      return true;
    }),
  );
  vi.stubEnv("XENNER_URL", "http://127.0.0.1:9");
  try {
    return { status: await main(args), ...texts };
  } finally {
    vi.unstubAllEnvs();
    for (const spy of spies) spy.mockRestore();
  }
}

describe("words", () => {
  test.each([
    [["wach"], "did you mean watch?"],
    [["nonsense"], "there are: run, submit"],
    [["watch"], "ID is missing"],
    [["watch", "x", "y"], '"y" is one word too many'],
    [["logs", "nonsense"], "32 hexadecimal digits"],
    [["logs", "--ofset", "1", "0".repeat(32)], "did you mean --offset?"],
    [["logs", "--offset", "-1", "0".repeat(32)], "--offset"],
    [["report", "0".repeat(32), "xmm"], "did you mean xml?"],
    [["completion", "csh"], "bash, zsh, fish"],
    [["submit", "--fixture", "hello", "--junit", "x.xml"], "--junit goes with run"],
    [["submit", "--fixture", "hello", "--url", "nowhere"], "--url needs an address"],
    [["run", "--kernel", "/nowhere/bzImage"], "there is no file /nowhere/bzImage"],
    [["run", "--initrd", "a", "--rootfs", "b"], "another name of --initrd"],
    [["run", "--report", "xml"], "--report needs NAME=VALUE"],
    [["run", "--label", "=x"], "--label needs NAME=VALUE"],
  ])("%j: %s", async (args, message) => {
    const { status, stderr } = await xenner(...args);
    expect(stderr).toContain(message);
    expect(status).toBe(64);
  });

  test("a worker that cannot be reached is an infrastructure error", async () => {
    const { status, stderr } = await xenner("watch", "0".repeat(32));
    expect(stderr).toMatch(/^infrastructure error: /);
    expect(status).toBe(2);
  });

  test("help of every command has examples or says all there is; no command is an error", async () => {
    const { status, stdout } = await xenner("--help");
    expect(status).toBe(0);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name!);
    expect(commands).toEqual(expect.arrayContaining(["run", "submit", "watch", "logs", "report"]));
    for (const name of ["run", "submit", "watch", "logs", "report"]) {
      const help = await xenner(name, "--help");
      expect(help.stdout, name).toMatch(new RegExp(`^Usage: xenner ${name}[\\s\\S]*Examples`));
      expect(help.status).toBe(0);
    }
    expect((await xenner()).status).toBe(64);
  });

  test("as a program it says its version, and ends with the command's status", () => {
    const { stdout } = spawnSync(XENNER, ["--version"], { encoding: "utf8" });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(spawnSync(XENNER, ["wach"]).status).toBe(64);
  });
});

describe("completion", () => {
  async function completed(...words: string[]): Promise<string[]> {
    const script = (await xenner("completion", "bash")).stdout;
    const line = words.map((word) => `'${word}'`).join(" ");
    const program = `${script}\nCOMP_WORDS=(${line})\nCOMP_CWORD=${words.length - 1}\n_xenner\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", program], { encoding: "utf8" }).trim().split("\n");
  }

  test("bash completes commands, options and formats, and nothing after what it does not know", async () => {
    expect(await completed("xenner", "re")).toEqual(["report"]);
    expect(await completed("xenner", "run", "--boot")).toEqual(["--boot-args"]);
    expect(await completed("xenner", "logs", "--f")).toEqual(["--follow"]);
    expect(await completed("xenner", "report", "k")).toEqual(["ktap", "kcidb"]);
    expect(await completed("xenner", "nonsense", "")).toEqual([""]);
  });

  test("zsh and fish have scripts with the same words", async () => {
    expect((await xenner("completion", "zsh")).stdout).toContain("#compdef xenner");
    expect((await xenner("completion", "fish")).stdout).toContain(
      "__fish_seen_subcommand_from logs' -l follow",
    );
  });
});

describe("progress", () => {
  test("a bar fills by the instructions of the last good run", () => {
    expect(barOf(0, 100, 0)).toBe(`[${" ".repeat(24)}]`);
    expect(barOf(50, 100, 0)).toBe(`[${"=".repeat(12)}${" ".repeat(12)}]`);
    expect(barOf(1000, 100, 0)).toBe(`[${"=".repeat(24)}]`);
  });

  test("without one something goes to and fro, always of one width", () => {
    const bars = Array.from({ length: 100 }, (_, tick) => barOf(5, undefined, tick));
    expect(new Set(bars.map((bar) => bar.length))).toEqual(new Set([26]));
    expect(new Set(bars).size).toBe(22);
  });

  test("says time, instructions and the last milestone", () => {
    const milestones = { init: { instructions: 9 }, memory: { instructions: 2 } };
    const job = {
      state: "running",
      seconds: 12.3,
      instructions: 1_200_000_000,
      mips: 85.2,
      milestones,
    } as unknown as JobView;
    expect(progressText(job, 2_400_000_000)).toBe("running  12 s, 1.20 G instructions, 85 MIPS, init, 50 %");
  });
});
