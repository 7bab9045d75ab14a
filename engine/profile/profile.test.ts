/*
 * Somebody asks where a boot's instructions went. Debian is booted as far as the loop that Linux runs over every page frame
 * number; what the samples say is held against tables that the kernel has for other purposes (its exported symbols), and
 * against the sources of that kernel, in which these functions call each other. A kernel that was not stripped is named from
 * its symbol table, as binutils' nm reads it.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { FixtureUnavailable, prepareFixture } from "../../r2-fixtures/index.ts";
import { PROFILE_LIMITS } from "../limits.ts";
import { openKernel } from "../loader/kernel.ts";
import { MemorySpool } from "../loader/spool.ts";
import { create } from "../machine.ts";
import { MapPageStore } from "../memory/page-store.ts";
import { type FoldedProfile, fold, foldedText } from "./fold.ts";
import { readKallsyms } from "./kallsyms.ts";
import { readKernelMap } from "./kernel-map.ts";
import { Profile } from "./profile.ts";
import type { StackSample } from "./sample.ts";

const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
const read = (path: string) => new Uint8Array(readFileSync(path));
const M = 1_000_000;
const sample = (rip: bigint): StackSample => ({ kind: "kernel", rip, stack: [] });

async function debian(): Promise<Uint8Array | undefined> {
  try {
    return read((await prepareFixture("debian-cloud", { log: () => {} })).kernelPath);
  } catch (error) {
    if (!(error instanceof FixtureUnavailable) || process.env.CI === "true") throw error;
    console.warn(`\n*** SKIPPING the profile of Debian: ${error.message}\n`);
    return undefined;
  }
}

describe("Debian", () => {
  let kernel: Uint8Array | undefined;
  beforeAll(async () => {
    kernel = await debian();
  });

  test("kallsyms knows every exported function, where the kernel's table of exports says it is", async (context) => {
    if (kernel === undefined) return context.skip();
    const { elf } = await openKernel(kernel, new MemorySpool(), 256 * M);
    const symbols = readKallsyms(elf.file);
    const sections = new Map(elf.sections().map((section) => [section.name, section]));
    const text = sections.get(".text")!;
    const strings = sections.get("__ksymtab_strings")!;
    const names = elf.file.bytes(strings.fileOffset, strings.fileBytes);
    let functions = 0;
    for (const name of ["__ksymtab", "__ksymtab_gpl"]) {
      const table = sections.get(name)!;
      const bytes = elf.file.bytes(table.fileOffset, table.fileBytes).slice();
      const view = new DataView(bytes.buffer);
      // struct kernel_symbol (include/linux/export-internal.h): value, name and namespace, each relative to itself.
      for (let at = 0; at < bytes.length; at += 12) {
        const here = table.virtualAddress + BigInt(at);
        const value = here + BigInt(view.getInt32(at, true));
        if (value < text.virtualAddress || value >= text.virtualAddress + BigInt(text.fileBytes)) continue;
        const string = Number(here + 4n + BigInt(view.getInt32(at + 4, true)) - strings.virtualAddress);
        const exported = String.fromCharCode(...names.subarray(string, names.indexOf(0, string)));
        const found = symbols?.find(value);
        expect(found?.start, exported).toBe(value);
        // One address may have several names.
        if (found?.name === exported) functions++;
      }
    }
    expect(functions).toBeGreaterThan(4000);
  });

  test("a boot up to 600 M instructions: the p2m loop with all its callers, and every sample counted", {
    timeout: 120_000,
  }, async (context) => {
    if (kernel === undefined) return context.skip();
    const folded = await profileOf(kernel, 600, [M]);
    expect(folded.samples).toBe(600);
    expect(folded.frames.reduce((sum, { samples }) => sum + samples, 0)).toBe(600);
    const widest = folded.frames[0]!;
    // arch/x86/xen/p2m.c of Linux 6.1; GCC inlines the loop's function.
    expect(widest.stack).toEqual([
      "startup_xen",
      "xen_start_kernel",
      "start_kernel",
      "setup_arch",
      "xen_pagetable_init",
      "xen_vmalloc_p2m_tree",
      "xen_rebuild_p2m_list_[i]",
    ]);
    expect(widest.samples).toBeGreaterThan(300);
    // Before and after it, nearly all stacks reach the kernel's first function.
    const whole = folded.frames.filter(({ stack }) => stack[0] === "startup_xen");
    expect(whole.reduce((sum, { samples }) => sum + samples, 0)).toBeGreaterThan(0.98 * 600);
    // Hypercalls are emu's, below the function that made them.
    const inEmu = folded.frames.filter(({ stack }) => stack.at(-1) === "[emu]");
    expect(inEmu.some(({ stack }) => stack.length > 3)).toBe(true);
    // Alone it is only at start of day.
    for (const { stack, samples } of inEmu) if (stack.length === 1) expect(samples).toBeLessThan(10);
    // The same by slices of another size.
    expect(foldedText(await profileOf(kernel, 60, [M]))).toBe(
      foldedText(await profileOf(kernel, 60, [333_333, M - 333_333])),
    );
  });
});

/** Boots without an initrd; `slices` are run again and again, and add up to the sampling interval. */
async function profileOf(
  kernel: Uint8Array,
  samples: number,
  slices: readonly number[],
): Promise<FoldedProfile> {
  const parts = {
    core: new NodeModule(read(`${import.meta.dirname}/../cpu/core.wasm`)),
    emu64: read(`${import.meta.dirname}/../emu/emu64.elf`),
  };
  const config = { kernel, cmdline: "console=hvc0", memoryMiB: 128, seed: 1n, startTime: 1_700_000_000 };
  const machine = await create(parts, config, new MapPageStore());
  const profile = new Profile(M, 0);
  while (machine.instructions < samples * M) {
    for (const slice of slices) {
      // A long REP is charged for more than an instruction and may go beyond the slice.
      expect(machine.run(Math.min(slice, M - (machine.instructions % M))).kind).toBe("budget");
      machine.takeConsole();
    }
    profile.at(machine.instructions, () => machine.sample());
  }
  return fold(Profile.load(profile.save()), await readKernelMap(kernel));
}

test("a kernel with a symbol table is named from it, as nm names it", async () => {
  const path = `${import.meta.dirname}/../../r2-fixtures/hello/hello.elf`;
  const map = await readKernelMap(read(path));
  let listing: string;
  try {
    listing = execFileSync("nm", ["--defined-only", path], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch {
    return;
  }
  for (const line of listing.split("\n")) {
    const [address, type, name] = line.split(" ");
    if (type !== "T" && type !== "t") continue;
    expect(map?.symbols.find(BigInt(`0x${address}`))?.start, name).toBe(BigInt(`0x${address}`));
  }
});

describe("a profile", () => {
  test("comes back from its bytes", () => {
    const profile = new Profile(M, 5 * M);
    const stack = [
      { offset: 8, value: 0xffffffff81000001n },
      { offset: 4088, value: 0xffffffffc0000001n },
    ];
    profile.at(6 * M, () => ({ kind: "kernel", rip: 0xffffffff81000001n, stack }));
    profile.at(9 * M, () => ({ kind: "user", rip: 0x400000n, stack: [] }));
    profile.at(12 * M, () => ({ kind: "emu", rip: 0n, stack: [] }));
    const bytes = profile.save();
    const again = Profile.load(bytes);
    expect(again.samples).toEqual(profile.samples);
    expect([again.interval, again.from]).toEqual([M, 5 * M]);
    expect(again.save()).toEqual(bytes);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => Profile.load(bytes.subarray(0, length))).toThrow("cut off");
    }
  });

  test("takes a sample at each multiple of its interval, or when it is past", () => {
    const profile = new Profile(M, 0);
    for (const at of [0, 1, M, M, M + 1, 2 * M, 5 * M + 7, 6 * M]) profile.at(at, () => sample(BigInt(at)));
    expect(profile.samples).toEqual([
      { intervals: 1, sample: sample(BigInt(M)) },
      { intervals: 1, sample: sample(BigInt(2 * M)) },
      // One instruction was charged for more than an interval: it stands for all of them.
      { intervals: 3, sample: sample(BigInt(5 * M + 7)) },
      { intervals: 1, sample: sample(BigInt(6 * M)) },
    ]);
  });

  test("stays small whatever a guest writes to its stacks, and every sample is still counted", () => {
    const profile = new Profile(M, 0);
    let value = 0xffff_ffff_8000_0000n;
    const words = (): StackSample["stack"] =>
      Array.from({ length: PROFILE_LIMITS.wordsPerSample }, (_, i) => ({ offset: 8 * i, value: ++value }));
    const count = PROFILE_LIMITS.samples - 1;
    for (let i = 1; i <= count; i++)
      profile.at(i * M, () => ({ kind: "kernel", rip: value, stack: words() }));
    const bytes = profile.save();
    expect(bytes.length).toBeLessThan(16 * (PROFILE_LIMITS.addresses + count));
    expect(Profile.load(bytes).save()).toEqual(bytes);
    expect(profile.samples).toHaveLength(count);
    expect(profile.samples[0]?.sample.stack).toHaveLength(PROFILE_LIMITS.wordsPerSample);
  });

  test("with too many samples keeps every other one, and still adds up to the run", () => {
    const profile = new Profile(M, 0);
    const end = 3 * PROFILE_LIMITS.samples + 5;
    for (let i = 1; i <= end; i++) profile.at(i * M, () => sample(BigInt(i)));
    expect(profile.samples.length).toBeLessThanOrEqual(PROFILE_LIMITS.samples);
    expect(profile.interval).toBe(4 * M);
    const sum = profile.samples.reduce((all, { intervals }) => all + intervals, 0) * profile.interval;
    expect(end * M - sum).toBeGreaterThanOrEqual(0);
    expect(end * M - sum).toBeLessThan(profile.interval);
  });
});
