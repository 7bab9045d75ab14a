// User space on our core: static programs, built here with glibc and with musl for x86-64-v1 and v2, and two shells from the
// packages, run in the Debian guest and on this machine's processor, and print the same to the byte. They do cryptography,
// big numbers, floating-point output in all forms, regular expressions, sorting, libm, string functions at every alignment
// (glibc picks variants by CPUID), signals by every fault user space can cause, fork, and threads. One boot with a
// processor of v1, one of v2; on the first an instruction of v2 must end a program by SIGILL.

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CpioEntry, writeCpio } from "../../r2-fixtures/cpio.ts";
import { FixtureUnavailable, type PreparedFixture, prepareFixture } from "../../r2-fixtures/index.ts";
import { Cpu } from "../cpu/cpu.ts";
import { guestFactory } from "../guest.ts";
import { MapPageStore } from "../memory/page-store.ts";
import {
  BASH,
  BUSYBOX,
  buildSuite,
  type Finished,
  type Level,
  missingTools,
  PROGRAMS,
  run,
} from "./programs.ts";

const SUITES = [
  ["glibc", "v1"],
  ["musl", "v1"],
  ["glibc", "v2"],
  ["musl", "v2"],
] as const;
/** Our core has no FMA and no AVX; libm's results differ with them in the last bit. */
const NATIVE_ENVIRONMENT = { GLIBC_TUNABLES: "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX" };
const SLICE = 50_000_000;
const MOST_INSTRUCTIONS = 8_000_000_000;
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
const read = (path: string): Uint8Array => new Uint8Array(readFileSync(path));
const sha256 = (text: string): string => createHash("sha256").update(text, "latin1").digest("hex");

async function debian(): Promise<PreparedFixture | undefined> {
  try {
    return await prepareFixture("debian-cloud", { log: () => {} });
  } catch (error) {
    if (!(error instanceof FixtureUnavailable)) throw error;
    missing.push(error.message);
    return undefined;
  }
}

const missing = missingTools();
const fixture = await debian();
const runnable = missing.length === 0 || process.env.CI === "true";
if (!runnable)
  console.warn(`\n*** SKIPPING user space in the Debian guest; it needs ${missing.join(", ")}\n`);

/** A command of the guest, and the same here. */
interface Job {
  readonly name: string;
  readonly guest: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

let directory = "";
const jobs = new Map<Level, Job[]>();
const native = new Map<string, Finished>();

function suiteJobs(suites: readonly (readonly [string, Level])[]): Job[] {
  return suites.flatMap(([library, level]) =>
    PROGRAMS.map((program) => ({
      name: `${library} ${level} ${program}`,
      guest: `/t/${library}-${level} ${program}`,
      command: join(directory, `${library}-${level}`),
      args: [program],
      env: NATIVE_ENVIRONMENT,
    })),
  );
}

const SHELL = join(import.meta.dirname, "shell.sh");

/** The same script in either shell; BB is busybox, T a folder to write to. */
function shellJob(name: string, shell: string, args: readonly string[]): Job {
  const guest = ["BB=/bin/busybox T=/tmp", `/bin/${basename(shell)}`, ...args, "/t/shell.sh"].join(" ");
  return { name, guest, command: shell, args: [...args, SHELL], env: { BB: BUSYBOX, T: directory } };
}

/** The guest's first process: every command with its output, status and the output's hash. */
function init(commands: readonly string[]): string {
  const each = commands.map(
    (command, i) => `
echo "=== ${i}"
${command} > /tmp/out 2>&1
status=$?
/bin/busybox cat /tmp/out
echo "--- $status $(/bin/busybox sha256sum < /tmp/out)"`,
  );
  return `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs devtmpfs /dev
echo 1 > /proc/sys/kernel/printk
/bin/busybox stty -opost < /dev/console
/bin/busybox uname -s
/bin/busybox grep -m1 -o 'sse4_2' /proc/cpuinfo
${each.join("\n")}
echo "=== end"
/bin/busybox poweroff -f
`;
}

function initramfs(commands: readonly string[], suites: readonly (readonly [string, Level])[]): Uint8Array {
  const text = new TextEncoder();
  const entries: CpioEntry[] = [
    ...["bin", "dev", "proc", "t", "tmp"].map((name) => ({ kind: "directory", name, mode: 0o755 }) as const),
    { kind: "character-device", name: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "character-device", name: "dev/null", mode: 0o666, major: 1, minor: 3 },
    { kind: "file", name: "bin/busybox", mode: 0o755, data: read(BUSYBOX) },
    { kind: "file", name: "bin/bash-static", mode: 0o755, data: read(BASH) },
    { kind: "file", name: "t/shell.sh", mode: 0o644, data: read(SHELL) },
    { kind: "file", name: "init", mode: 0o755, data: text.encode(init(commands)) },
    ...suites.map(([library, level]) => ({
      kind: "file" as const,
      name: `t/${library}-${level}`,
      mode: 0o755,
      data: read(join(directory, `${library}-${level}`)),
    })),
  ];
  return writeCpio(entries);
}

interface GuestRun {
  readonly console: string;
  /** Output and status of each command, and its hash as the guest found it. */
  readonly results: readonly { readonly output: string; readonly status: string; readonly hash: string }[];
}

/** Boots Debian with a processor of this level, runs the commands, and reads what they printed. */
async function boot(level: Level, initrd: Uint8Array): Promise<GuestRun> {
  const factory = guestFactory((options) => {
    const cpu = Cpu.create(options);
    cpu.setModel(level);
    return cpu;
  });
  const parts = {
    core: new NodeModule(read(join(import.meta.dirname, "../cpu/core.wasm"))),
    emu64: read(join(import.meta.dirname, "../emu/emu64.elf")),
  };
  const machine = await factory.create(
    parts,
    {
      kernel: read(fixture!.kernelPath),
      initrd,
      // On the bare processor once, below emu once.
      mode: level === "v1" ? "pv" : "pvh",
      cmdline: "console=hvc0 quiet",
      memoryMiB: 256,
      seed: 1n,
      startTime: 1_767_225_600,
    },
    new MapPageStore(),
  );
  let console = "";
  for (;;) {
    const end = machine.run(SLICE);
    console += Buffer.from(machine.takeConsole()).toString("latin1");
    if (end.kind === "shutdown" && end.reason === "poweroff") break;
    if (end.kind !== "budget" || machine.instructions > MOST_INSTRUCTIONS)
      throw new Error(`the guest did not power off (${JSON.stringify(end)}):\n${console.slice(-3000)}`);
  }
  const results = [...console.matchAll(/^=== \d+\n([\s\S]*?)^--- (\d+) ([0-9a-f]{64}) {2}-\n/gm)].map(
    (m) => ({
      output: m[1]!,
      status: `exit ${m[2]}`,
      hash: m[3]!,
    }),
  );
  return { console, results };
}

beforeAll(async () => {
  if (!runnable) return;
  expect(missing, "what this machine lacks").toEqual([]);
  directory = mkdtempSync(join(tmpdir(), "xenner-userspace-"));
  for (const [library, level] of SUITES) await buildSuite(library, level, directory);
  const shells = [shellJob("busybox", BUSYBOX, ["sh"]), shellJob("bash", BASH, [])];
  jobs.set("v1", [...suiteJobs(SUITES.slice(0, 2)), ...shells]);
  jobs.set("v2", [...suiteJobs(SUITES.slice(2)), ...shells]);
  for (const job of [...jobs.values()].flat()) {
    if (!native.has(job.name)) native.set(job.name, await run(job.command, job.args, job.env));
  }
}, 300_000);

afterAll(() => {
  if (directory !== "") rmSync(directory, { recursive: true, force: true });
});

describe.skipIf(!runnable)("user space in the Debian guest", () => {
  test("the programs do something here", () => {
    for (const [name, finished] of native) {
      expect(finished.status, `${name}\n${finished.output}`).toBe("exit 0");
      expect(finished.output.length, name).toBeGreaterThan(60);
      expect(finished.output, name).not.toMatch(/DIFFERENT|came back as/);
    }
    const output = (name: string): string => native.get(name)!.output;
    // Published answers: FIPS 180-4 and FIPS 197 examples; Fermat's little theorem.
    expect(output("glibc v1 crypto")).toContain(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    expect(output("glibc v1 crypto")).toContain("69c4e0d86a7b0430d8cdb78070b4c55a");
    expect(output("glibc v1 bignum")).toMatch(/2\^\(p-1\) 0*1\n/);
  });

  test.each(["v1", "v2"] as const)(
    "on a %s processor prints what it prints here",
    { timeout: 600_000 },
    async (level) => {
      const suites = SUITES.filter(([, built]) => built === level);
      const all = jobs.get(level)!;
      // Built for v1 with an instruction of v2 in it.
      const features = `/t/glibc-${level} features`;
      const { console, results } = await boot(
        level,
        initramfs([...all.map((j) => j.guest), features], suites),
      );
      expect(results.length, console.slice(-3000)).toBe(all.length + 1);
      expect(console.includes("sse4_2")).toBe(level === "v2");
      for (const [i, job] of all.entries()) {
        const expected = native.get(job.name)!;
        const got = results[i]!;
        expect(got.output, job.name).toBe(expected.output);
        expect(`${job.name}: ${got.status} ${got.hash}`).toBe(
          `${job.name}: ${expected.status} ${sha256(expected.output)}`,
        );
      }
      // 132 is SIGILL.
      expect(results.at(-1)!.status).toBe(level === "v1" ? "exit 132" : "exit 0");
    },
  );
});
