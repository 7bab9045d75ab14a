/*
 * A domain is built, and looked at as its kernel will find it: a walk of the page tables, written for this test from the
 * SDM alone, translates the addresses that start_info gives, and what lies there must be what the contract in
 * xen/include/public/xen.h promises, in its order, for kernels with and without MOD_START_PFN and INIT_P2M.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeCmdline, inspectKernel, prepareDomain } from "../inspect.ts";
import { LoadError } from "../loader/errors.ts";
import { sourceOf } from "../loader/source.ts";
import { buildElf, KERNEL_BASE, NOTE, pvKernel, pvNotes } from "../loader/testing/build-elf.ts";
import { BOOT_INFO, directMap, PAGE_BYTES } from "./abi.ts";
import { buildDomain, type EntryState } from "./domain-builder.ts";
import { placeEmu } from "./emu-image.ts";
import { hypercallPage } from "./hypercall-page.ts";
import type { DomainLayout } from "./layout.ts";
import { decode } from "./structure.ts";
import { ArrayMemory } from "./testing/memory.ts";

const MIB = 1024 * 1024;
const MEMORY_MIB = 64;
const emu64 = new Uint8Array(readFileSync(`${import.meta.dirname}/../emu/emu64.elf`));

/** What the processor does with an address: SDM vol. 3A 4.5.4, 4 KiB pages and, for emu's part, 2 MiB pages. */
function translate(memory: ArrayMemory, cr3: number, address: bigint) {
  let table = cr3;
  let writable = true;
  let user = true;
  for (let shift = 39; ; shift -= 9) {
    const entry = memory.readU64(table + Number((address >> BigInt(shift)) & 511n) * 8);
    if ((entry & 1n) === 0n) return undefined;
    writable &&= (entry & 2n) !== 0n;
    user &&= (entry & 4n) !== 0n;
    const next = Number(entry & 0x000ffffffffff000n);
    const isLarge = shift === 21 && (entry & 0x80n) !== 0n;
    if (shift === 12 || isLarge) {
      return { physical: next + Number(address & ((1n << BigInt(shift)) - 1n)), writable, user };
    }
    table = next;
  }
}

interface Built {
  readonly memory: ArrayMemory;
  readonly layout: DomainLayout;
  readonly entry: EntryState;
  /** start_info as the guest reads it. */
  readonly word: (offset: number) => bigint;
  readonly at: (address: bigint) => NonNullable<ReturnType<typeof translate>>;
}

const initrd = Uint8Array.from({ length: 10_000 }, (_, i) => i * 7);

async function build(kernelFile: Uint8Array, withInitrd: boolean): Promise<Built> {
  const { kernel, layout } = await prepareDomain(kernelFile, MEMORY_MIB, withInitrd ? initrd.length : 0);
  const emu = placeEmu(emu64, layout.ramPages);
  const memory = new ArrayMemory(emu.region.machinePages);
  const entry = await buildDomain(memory, {
    kernel,
    layout,
    ...(withInitrd && { initrd: sourceOf(initrd) }),
    cmdline: encodeCmdline("console=hvc0 ünï"),
    emu,
    startTime: 1_700_000_000.25,
    uuid: new Uint8Array(16).fill(7),
  });
  const at: Built["at"] = (address) => {
    const found = translate(memory, entry.cr3, address);
    if (found === undefined) throw new Error(`0x${address.toString(16)} is not mapped`);
    return found;
  };
  const bootInfo = memory.read(Number(entry.rdi - directMap(0)), BOOT_INFO.bytes);
  const startInfo = at(decode(BOOT_INFO, bootInfo, "startInfo")).physical;
  return { memory, layout, entry, at, word: (offset) => memory.readU64(startInfo + offset) };
}

const KERNELS: readonly [name: string, kernel: Uint8Array][] = [
  ["a plain kernel", pvKernel(pvNotes())],
  ["MOD_START_PFN", pvKernel(pvNotes([NOTE.MOD_START_PFN, 1n]))],
  ["INIT_P2M", pvKernel(pvNotes([NOTE.INIT_P2M, 0x8000000000n]))],
  ["both, as Linux has them", pvKernel(pvNotes([NOTE.MOD_START_PFN, 1n], [NOTE.INIT_P2M, 0x8000000000n]))],
  ["base 0, as GRUB has it", pvKernel(pvNotes([NOTE.VIRT_BASE, 0n], [NOTE.ENTRY, 0x100000n]))],
];

describe.each(KERNELS)("%s", (name, kernelFile) => {
  const movesInitrd = name.includes("MOD_START_PFN") || name.includes("both");
  const movesP2m = name.includes("INIT_P2M") || name.includes("both");
  const base = name.includes("base 0") ? 0n : KERNEL_BASE;
  let built: Built;
  beforeAll(async () => {
    built = await build(kernelFile, true);
  });

  test("start_info says what there is", () => {
    const { word, at, memory, layout } = built;
    const text = (offset: number, length: number): string =>
      new TextDecoder().decode(
        memory.read(at(base + BigInt(layout.startInfo * PAGE_BYTES)).physical + offset, length),
      );
    expect(text(0, 15)).toBe("xen-3.0-x86_64\0");
    expect(word(32)).toBe(BigInt((MEMORY_MIB * MIB) / PAGE_BYTES));
    expect(text(128, 19)).toBe("console=hvc0 ünï\0");
    expect(word(48)).toBe(movesInitrd ? 8n : 0n);
    expect([word(64), word(80)]).toEqual([1n, 2n]);
  });

  test("everything lies in Xen's order", () => {
    const { word, layout } = built;
    const startInfo = BigInt(layout.startInfo);
    const ptBase = (word(88) - base) / 4096n;
    const ptFrames = word(96);
    expect(word(56)).toBe(startInfo + 1n);
    expect(word(72)).toBe(startInfo + 2n);
    expect(ptBase).toBe(startInfo + 3n);
    expect(BigInt(layout.stack)).toBe(ptBase + ptFrames);
    if (!movesP2m) expect((word(104) - base) / 4096n + BigInt(layout.p2m.pages)).toBe(startInfo);
    if (!movesInitrd) expect(word(112) % 4096n).toBe(0n);
    const initrdPfn = movesInitrd ? word(112) : (word(112) - base) / 4096n;
    expect(initrdPfn).toBeGreaterThanOrEqual(0x102n);
    const mappedEnd = (layout.virtEnd - base) / 4096n;
    if (movesInitrd) expect(initrdPfn).toBeGreaterThanOrEqual(mappedEnd);
    else expect(initrdPfn + 3n).toBeLessThanOrEqual(startInfo);
  });

  test("the mapping starts at VIRT_BASE, ends at 4 MiB with 512 KiB of slack, and is the identity", () => {
    const { layout, at, memory, entry } = built;
    expect(layout.virtEnd % BigInt(4 * MIB)).toBe(0n);
    const used = base + BigInt((layout.stack + 1) * PAGE_BYTES);
    expect(layout.virtEnd - used).toBeGreaterThanOrEqual(BigInt(512 * 1024));
    for (let address = base; address < layout.virtEnd; address += 4096n) {
      expect(BigInt(at(address).physical)).toBe(address - base);
      expect(at(address).user).toBe(true);
    }
    expect(translate(memory, entry.cr3, layout.virtEnd)).toBeUndefined();
    // Linux unmaps up to the next 4 MiB after the page tables: that has to be everything.
    const tablesEnd = base + BigInt((layout.tables.pfn + layout.tables.count) * PAGE_BYTES);
    expect(((tablesEnd + BigInt(4 * MIB) - 1n) / BigInt(4 * MIB)) * BigInt(4 * MIB)).toBe(layout.virtEnd);
  });

  test("page tables, and nothing else, are mapped read-only", () => {
    const { layout, at, word, memory, entry } = built;
    const tables = new Set<number>();
    const collect = (table: number, level: number): void => {
      tables.add(table / PAGE_BYTES);
      if (level === 1) return;
      for (let i = 0; i < 512; i++) {
        if (level === 4 && i >= 256 && i < 272) continue;
        const child = memory.readU64(table + i * 8);
        if (child & 1n) collect(Number(child & 0x000ffffffffff000n), level - 1);
      }
    };
    collect(entry.cr3, 4);
    expect(entry.cr3).toBe(at(word(88)).physical);
    for (let address = base; address < layout.virtEnd; address += 4096n) {
      const { physical, writable } = at(address);
      expect(writable, `page ${physical / PAGE_BYTES}`).toBe(!tables.has(physical / PAGE_BYTES));
    }
    const own = Number(word(96));
    const shared = movesP2m ? Number(word(1160)) - layout.p2m.pages : 0;
    expect(tables.size).toBe(own + shared);
  });

  test("the p2m is the identity, where start_info says", () => {
    const { word, at, memory, layout } = built;
    const list = word(104);
    if (movesP2m) {
      expect(list).toBe(0x8000000000n);
      expect(word(1152)).toBe(BigInt(layout.p2m.pfn));
      expect(at(list).physical).toBeGreaterThanOrEqual(Number(layout.virtEnd - base));
    } else {
      expect([word(1152), word(1160)]).toEqual([0n, 0n]);
    }
    for (let pfn = 0n; pfn < BigInt(layout.ramPages); pfn += 37n) {
      expect(memory.readU64(at(list + pfn * 8n).physical)).toBe(pfn);
    }
  });

  test("kernel and initrd are there, and no two things overlap", () => {
    const { word, at, memory, layout } = built;
    expect(memory.readU8(at(base + 0x100000n).physical)).toBe(0xf4);
    const initrdAt = movesInitrd ? Number(word(112)) * PAGE_BYTES : at(word(112)).physical;
    expect(Buffer.compare(memory.read(initrdAt, Number(word(120))), initrd)).toBe(0);
    const ranges = [
      { pfn: 0x100, pages: 2 },
      layout.initrd!,
      { pfn: layout.p2m.pfn, pages: layout.p2m.pages + (layout.p2m.tables?.count ?? 0) },
      { pfn: layout.startInfo, pages: 3 },
      { pfn: layout.tables.pfn, pages: layout.tables.count },
      { pfn: layout.stack, pages: 1 },
    ].sort((a, b) => a.pfn - b.pfn);
    for (const [i, { pfn, pages }] of ranges.entries()) {
      expect(pfn + pages).toBeLessThanOrEqual(ranges[i + 1]?.pfn ?? layout.ramPages);
    }
  });

  test("emu can run, and only the m2p of the hypervisor's part is open to the guest", () => {
    const { at, entry, memory } = built;
    const code = at(entry.rip);
    expect(code.user).toBe(false);
    expect(memory.read(code.physical, 16).some((byte) => byte !== 0)).toBe(true);
    expect(at(entry.rdi)).toMatchObject({ writable: true, user: false });
    expect(at(0xffff800000000000n)).toMatchObject({ writable: false, user: true });
    const bootInfo = memory.read(at(entry.rdi).physical, BOOT_INFO.bytes);
    expect(decode(BOOT_INFO, bootInfo, "kernelEntry")).toBe(base + 0x100000n);
    expect(at(decode(BOOT_INFO, bootInfo, "initialStack") - 8n).writable).toBe(true);
    expect(decode(BOOT_INFO, bootInfo, "wallclockSeconds")).toBe(1_700_000_000n);
    expect(decode(BOOT_INFO, bootInfo, "wallclockNanoseconds")).toBe(250_000_000n);
  });
});

test("without an initrd, start_info has none", async () => {
  const { word, layout } = await build(pvKernel(pvNotes([NOTE.MOD_START_PFN, 1n])), false);
  expect(layout.initrd).toBeUndefined();
  expect([word(48), word(112), word(120)]).toEqual([0n, 0n, 0n]);
});

test("the hypercall page is filled where the note says", async () => {
  const { memory } = await build(pvKernel(pvNotes([NOTE.HYPERCALL_PAGE, KERNEL_BASE + 0x101000n])), false);
  expect(Buffer.compare(memory.read(0x101000, PAGE_BYTES), hypercallPage())).toBe(0);
});

describe("the end of the mapping", () => {
  // Kernels that end at every page of a 4 MiB stretch: somewhere in it the slack crosses the boundary.
  test("suits Linux wherever the kernel ends", async () => {
    for (let pages = 1; pages < 1100; pages += 7) {
      const { kernel, layout } = await prepareDomain(
        buildElf({
          segments: [
            { paddr: 0x100000n, bytes: new Uint8Array(16), memsz: BigInt(pages * PAGE_BYTES) },
            { type: 4, bytes: pvNotes() },
          ],
        }),
        MEMORY_MIB,
        0,
      );
      const end = Number(layout.virtEnd - KERNEL_BASE);
      const tablesEnd = (layout.tables.pfn + layout.tables.count) * PAGE_BYTES;
      expect(Math.ceil(tablesEnd / (4 * MIB)) * 4 * MIB).toBe(end);
      expect(end - (layout.stack + 1) * PAGE_BYTES).toBeGreaterThanOrEqual(512 * 1024);
      expect(layout.p2m.pfn * PAGE_BYTES).toBeGreaterThanOrEqual(kernel.physicalEnd);
      expect(layout.tables.count).toBeGreaterThanOrEqual(3 + Math.ceil(end / (2 * MIB)));
    }
  });
});

describe("what does not fit is refused, with the memory that would do", () => {
  const refusal = async (action: () => unknown): Promise<LoadError> => {
    try {
      await action();
    } catch (error) {
      if (error instanceof LoadError) return error;
      throw error;
    }
    throw new Error("it was accepted");
  };
  const bigKernel = (mib: number, ...notes: [number, bigint][]): Uint8Array =>
    buildElf({
      segments: [
        { paddr: 0x100000n, bytes: new Uint8Array(16), memsz: BigInt(mib * MIB) },
        { type: 4, bytes: pvNotes([NOTE.MOD_START_PFN, 1n], ...notes) },
      ],
    });

  test.each([
    ["the kernel", 100, 0, 64],
    ["the initrd", 20, 50 * MIB, 64],
    ["page tables and p2m", 61, 0, 62],
  ])("%s", async (_name, kernelMiB, initrdBytes, memoryMiB) => {
    const file = bigKernel(kernelMiB);
    const error = await refusal(() => inspectKernel(file, memoryMiB, initrdBytes));
    expect(error).toMatchObject({ code: "does-not-fit", field: "memory" });
    const enough = Number(/at least (\d+) MiB/.exec(error.message)?.[1]);
    expect((await inspectKernel(file, enough, initrdBytes)).usedBytes).toBeLessThanOrEqual(enough * MIB);
    expect((await refusal(() => inspectKernel(file, enough - 1, initrdBytes))).code).toBe("does-not-fit");
  });

  test("a kernel larger than any guest, at once", async () => {
    const file = bigKernel(1_000_000, [NOTE.VIRT_BASE, 0n], [NOTE.ENTRY, 0x100000n]);
    expect((await refusal(() => inspectKernel(file, 4096))).message).toContain("the largest guest");
  });

  test("impossible memory sizes, initrds and command lines", async () => {
    for (const size of [0, -1, 1, 64.5, 5000, Number.NaN]) {
      expect(await refusal(() => inspectKernel(pvKernel(), size))).toMatchObject({
        code: "bad-memory",
        field: "memory",
      });
    }
    expect(await refusal(() => inspectKernel(pvKernel(), 64, 600 * MIB))).toMatchObject({ field: "initrd" });
    expect(await refusal(() => encodeCmdline("x".repeat(1024)))).toMatchObject({ field: "cmdline" });
    expect((await refusal(() => encodeCmdline("a\0b"))).code).toBe("bad-cmdline");
    expect(encodeCmdline("x".repeat(1023))).toHaveLength(1023);
  });

  test("a base so high that the mapping would leave the address space", async () => {
    const file = pvKernel(pvNotes([NOTE.VIRT_BASE, 0xffffffffffe80000n], [NOTE.ENTRY, 0xfffffffffff80000n]));
    expect((await refusal(() => inspectKernel(file, 64))).code).toBe("bad-note");
  });
});
