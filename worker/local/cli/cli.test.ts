/*
 * Somebody types. What he means is done or he is told what to type instead; shells complete what he began; and a line at the bottom of
 * his terminal says how far the guest is.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import type { JobView } from "../../runner/record.ts";
import { table } from "../report.ts";
import { clientOf } from "./command.ts";
import { main } from "./main.ts";
import { barOf, progressText } from "./progress.ts";
import { onSignal } from "./signals.ts";

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
    [["run", "bzImage"], "a kernel's file goes behind --kernel"],
    [["--versoin"], "did you mean --version?"],
    [["help", "wach"], "did you mean watch?"],
  ])("%j: %s", async (args, message) => {
    const { status, stderr } = await xenner(...args);
    expect(stderr).toContain(message);
    expect(status).toBe(64);
  });

  test("a worker that cannot be reached is an infrastructure error", async () => {
    const { status, stderr } = await xenner("watch", "0".repeat(32));
    expect(stderr).toMatch(
      /^infrastructure error: the worker at http:\/\/127\.0\.0\.1:9 cannot be reached: /,
    );
    expect(status).toBe(2);
  });

  test("a batch's file that is not there is wrong use, one that cannot be sent is not", async () => {
    const directory = await mkdtemp(join(tmpdir(), "xenner-words-"));
    try {
      const batch = join(directory, "batch.json");
      await writeFile(batch, '{"jobs": [{"kernel": {"file": "bzImage"}}]}');
      const missing = await xenner("submit", "--batch", batch);
      expect(missing.stderr).toContain(`--batch: there is no file ${join(directory, "bzImage")}`);
      expect(missing.status).toBe(64);
      await writeFile(join(directory, "bzImage"), "a kernel");
      const unsent = await xenner("submit", "--batch", batch);
      expect(unsent.stderr).toMatch(/^infrastructure error: .* cannot be reached/m);
      expect(unsent.status).toBe(2);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test("a variable that is empty is none, and one that is wrong is named", () => {
    try {
      vi.stubEnv("XENNER_URL", "127.0.0.1:9");
      expect(() => clientOf({})).toThrow(/^\$XENNER_URL needs an address/);
      vi.stubEnv("XENNER_URL", "");
      expect(() => clientOf({})).not.toThrow();
    } finally {
      vi.unstubAllEnvs();
    }
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
      expect((await xenner("help", name)).stdout).toBe(help.stdout);
    }
    expect((await xenner()).status).toBe(64);
  });

  test("as a program it says its version, and ends with the command's status", () => {
    const { stdout } = spawnSync(XENNER, ["--version"], { encoding: "utf8" });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(spawnSync(XENNER, ["wach"]).status).toBe(64);
  });
});

test("a table has numbers to the right and text to the left, and no spaces at its end", () => {
  const rows = [
    ["a", "1,000", "long reason"],
    ["bcd", "", "short"],
  ];
  expect(table(["job", "count", "reason"], rows)).toEqual([
    "job  count  reason",
    "a    1,000  long reason",
    "bcd         short",
  ]);
});

describe("what comes from outside", () => {
  test("a reader that goes away ends a command without a word, as it does other programs", async () => {
    const child = spawn(XENNER, ["run", "--help"], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const [status] = await once(child, "close");
    expect([status, said]).toEqual([141, ""]);
  });

  test("a signal is heeded once, though a terminal and the program before us both send it; a later one ends at once", () => {
    const exit = vi.spyOn(process, "exit").mockImplementation(() => undefined as never);
    const clock = vi.spyOn(performance, "now").mockReturnValue(1000);
    const heard: string[] = [];
    const undo = onSignal((signal) => heard.push(signal));
    try {
      process.emit("SIGINT", "SIGINT");
      process.emit("SIGINT", "SIGINT");
      expect([heard, exit.mock.calls]).toEqual([["SIGINT"], []]);
      clock.mockReturnValue(3000);
      process.emit("SIGINT", "SIGINT");
      expect([heard, exit.mock.calls]).toEqual([["SIGINT"], [[130]]]);
    } finally {
      undo();
      clock.mockRestore();
      exit.mockRestore();
    }
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
