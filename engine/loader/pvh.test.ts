/*
 * A kernel as a PVH guest: the 32-bit entry point of its note, its segments at their physical addresses; ELF files of both
 * classes. Files that cannot be started so are refused with what is wrong and what to do.
 */
import { describe, expect, test } from "vitest";
import { planPvh } from "../xenner/hvm/layout.ts";
import { LoadError } from "./errors.ts";
import { loadPvhKernel } from "./pvh.ts";
import { MemorySpool } from "./spool.ts";
import { buildElf, type TestElf, xenNotes } from "./testing/build-elf.ts";

const MIB = 1024 * 1024;
const PT_NOTE = 4;
const PHYS32_ENTRY = 18;
const ENTRY = 1;

function kernel(notes: Uint8Array | undefined, elf: Partial<TestElf> = {}): Uint8Array {
  return buildElf({
    segments: [
      { vaddr: 0xffffffff81000000n, paddr: 0x1000000n, bytes: new Uint8Array(5000).fill(1), memsz: 0x3000n },
      { vaddr: 0xffffffff82000000n, paddr: 0x2000000n, bytes: new Uint8Array(100).fill(2) },
      ...(notes ? [{ type: PT_NOTE, bytes: notes }] : []),
    ],
    ...elf,
  });
}

const load = (file: Uint8Array) => loadPvhKernel(file, new MemorySpool());
const note = (value: bigint) => xenNotes([[PHYS32_ENTRY, value]]);

async function refusal(file: Uint8Array): Promise<LoadError> {
  const error = await load(file).catch((thrown: unknown) => thrown);
  if (error instanceof LoadError) return error;
  throw new Error("it was not refused");
}

test.each([64, 32] as const)("an ELF%d file", async (bits) => {
  expect(await load(kernel(note(0x1000010n), { bits }))).toMatchObject({
    format: "elf",
    entry: 0x1000010,
    physicalStart: 0x1000000,
    physicalEnd: 0x2000064,
    segments: [
      { physicalAddress: 0x1000000, fileBytes: 5000, memoryBytes: 0x3000 },
      { physicalAddress: 0x2000000, fileBytes: 100, memoryBytes: 100 },
    ],
  });
});

test("64-bit code in a file with headers of 32 bits, as `objcopy -O elf32-x86-64` makes it", async () => {
  const file = kernel(note(0x1000010n), { bits: 32, machine: 62 });
  expect(await load(file)).toMatchObject({ bits: 64, entry: 0x1000010, physicalEnd: 0x2000064 });
});

describe("refused", () => {
  test.each([
    ["without Xen notes", kernel(undefined), "no-pvh-entry", /PVH entry point/],
    ["for PV only", kernel(xenNotes([[ENTRY, 0xffffffff81000000n]])), "no-pvh-entry", /CONFIG_PVH/],
    ["with an entry before the image", kernel(note(0xfffn)), "bad-note", /0xfff lies outside/],
    ["with an entry behind the image", kernel(note(0x2000064n)), "bad-note", /outside the image/],
    ["with an entry above 4 GiB", kernel(note(0x1_0100_0000n)), "bad-note", /outside the image/],
    [
      "without segments",
      kernel(note(0n), { segments: [{ type: PT_NOTE, bytes: note(0n) }] }),
      "bad-elf",
      /no segment/,
    ],
    ["for another processor", kernel(note(0n), { machine: 183 }), "wrong-architecture", /x86/],
  ])("%s", async (_, file, code, message) => {
    const error = await refusal(file);
    expect([error.code, error.field]).toEqual([code, "kernel"]);
    expect(error.message).toMatch(message);
  });
});

describe("its memory", () => {
  test("what the guest is told lies behind the kernel, the initrd behind that, nothing overlaps", async () => {
    const loaded = await load(kernel(note(0x1000000n)));
    const layout = planPvh(loaded, 3 * MIB + 1, (64 * MIB) / 4096);
    expect(layout.startInfo).toBeGreaterThanOrEqual(loaded.physicalEnd);
    expect(layout.initrd!.address).toBeGreaterThan(layout.startInfo + 1200);
    expect(layout.initrd!.address + layout.initrd!.bytes).toBeLessThanOrEqual(64 * MIB);
    const [ram, special, acpi, rest] = layout.memoryMap;
    expect(ram).toEqual({ address: 0, size: 64 * MIB, type: 1 });
    expect(special!.address).toBeGreaterThanOrEqual(64 * MIB);
    for (const pfn of [layout.xenstore, layout.console, layout.sharedInfo, layout.grantFrames + 31]) {
      expect(pfn * 4096).toBeGreaterThanOrEqual(special!.address);
      expect((pfn + 1) * 4096).toBeLessThanOrEqual(special!.address + special!.size);
    }
    expect(layout.acpi).toBe(acpi!.address);
    expect(acpi!.address).toBeGreaterThanOrEqual(special!.address + special!.size);
    expect(rest!.address).toBe(layout.machinePages * 4096);
    // Room for a section of 128 MiB, whole and aligned, between the tables and the end.
    const section = 128 * MIB;
    const first = Math.ceil((acpi!.address + acpi!.size) / section) * section;
    expect(first + section).toBeLessThanOrEqual(rest!.address);
  });

  test("too little of it: the message says how much would do, and that does", async () => {
    const loaded = await load(kernel(note(0x1000000n)));
    const plan = (mib: number) => planPvh(loaded, 10 * MIB, (mib * MIB) / 4096);
    expect(() => plan(16)).toThrow(/at least 43 MiB/);
    expect(() => plan(42)).toThrow(LoadError);
    expect(plan(43).initrd).toBeDefined();
  });
});
