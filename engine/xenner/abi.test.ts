/*
 * The contract between emu and xenner is written once, in TypeScript. These tests ask whether the C header says the
 * same, whether the memory map has room for everything it promises at every size of guest, whether the page tables
 * made for emu show what abi.ts says and hide the rest from ring 3, and whether statistics are named as they were
 * counted.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { HEADER_PATH, header } from "../emu/generate.ts";
import {
  BOOT_INFO,
  DIRECT_MAP_VIRTUAL,
  emuRegion,
  GDT_VIRTUAL,
  IMAGE_VIRTUAL,
  LDT_VIRTUAL,
  M2P_VIRTUAL,
  MAX_GRANT_FRAMES,
  MAX_RAM_PAGES,
  PORTS,
  ROW_COUNTERS,
  STATISTICS,
  STATISTICS_GROUPS,
  STATISTICS_ROWS,
  TRAP_KINDS,
} from "./abi.ts";
import { type MemoryWrite, placeEmu } from "./emu-image.ts";
import { HYPERCALLS } from "./hypercall-names.ts";
import { HYPERCALL_ENTRY_BYTES, hypercallPage } from "./hypercall-page.ts";
import { decodeStatistics } from "./statistics.ts";
import { decode, encode, structure } from "./structure.ts";

const MIB = 1024 * 1024;
const ELF = readFileSync(join(import.meta.dirname, "../emu/emu64.elf"));
const RAM_SIZES = [1, 1024, 4097, 32768, 65536, 262144, MAX_RAM_PAGES - 1, MAX_RAM_PAGES];

describe("structures", () => {
  test("abi.h is what abi.ts says", () => {
    expect(readFileSync(HEADER_PATH, "utf8")).toBe(header());
  });

  test("what is encoded is decoded, whatever the type", () => {
    const sample = structure("sample", [
      { name: "small", type: "u8", count: 3, doc: "" },
      { name: "pad", type: "u8", doc: "" },
      { name: "negative", type: "i32", doc: "" },
      { name: "wide", type: "u64", doc: "" },
    ]);
    const bytes = encode(sample, {
      small: new Uint8Array([1, 2, 255]),
      negative: -5,
      wide: 0xffff804000000000n,
    });
    expect(decode(sample, bytes, "small", 2)).toBe(255n);
    expect(decode(sample, bytes, "negative")).toBe(-5n);
    expect(decode(sample, bytes, "wide")).toBe(0xffff804000000000n);
    expect(() => encode(sample, { missing: 1 })).toThrow(/no field/);
    expect(() => decode(sample, bytes, "small", 3)).toThrow(RangeError);
  });

  test("a structure with a hole is refused", () => {
    const byteThenWord = [
      { name: "byte", type: "u8", doc: "" },
      { name: "word", type: "u64", doc: "" },
    ] as const;
    expect(() => structure("holey", byteThenWord)).toThrow(/aligned/);
    expect(() => structure("short", [{ name: "word", type: "u32", doc: "" }])).toThrow(/multiple of 8/);
  });

  test("ports do not overlap: each is 32 bits wide", () => {
    const ports = Object.values(PORTS).sort((a, b) => a - b);
    for (const [index, port] of ports.entries()) expect(port).toBe(ports[0]! + 4 * index);
  });
});

describe("emu's region", () => {
  test.each(RAM_SIZES)("with %i pages of RAM everything has its place", (ramPages) => {
    const region = emuRegion(ramPages);
    expect(region.base % (2 * MIB)).toBe(0);
    expect(region.base).toBeGreaterThanOrEqual(ramPages * 4096);
    expect(region.base - ramPages * 4096).toBeLessThan(2 * MIB);
    const parts = [
      [region.base, ELF.length],
      [region.bootInfo, BOOT_INFO.bytes],
      [region.message, 4096],
      [region.sharedInfo, 4096],
      [region.pageTables, 4096],
      [region.grantFrames, MAX_GRANT_FRAMES * 4096],
      [region.statistics, STATISTICS.bytes],
      [region.m2p, region.m2pBytes],
      [region.pageInfo, region.machinePages * 4],
    ] as const;
    for (const [index, [start, bytes]] of parts.entries()) {
      const next = parts[index + 1]?.[0] ?? region.machinePages * 4096;
      expect(start + bytes).toBeLessThanOrEqual(next);
    }
    expect(region.m2pBytes).toBeGreaterThanOrEqual(region.machinePages * 8);
    expect(region.m2p % (2 * MIB)).toBe(0);
  });

  test.each([0, -1, 1.5, MAX_RAM_PAGES + 1])("%d pages are refused", (pages) => {
    expect(() => emuRegion(pages)).toThrow(RangeError);
  });
});

/** Walks page tables given as writes; the rights are those of all levels together. */
class Walker {
  readonly #pages = new Map<number, DataView>();
  readonly #l3: bigint;

  constructor(writes: readonly MemoryWrite[], slot256: bigint) {
    for (const { address, bytes } of writes)
      this.#pages.set(address, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.#l3 = slot256;
  }

  lookUp(
    virtual: bigint,
  ): { physical: bigint; user: boolean; writable: boolean; executable: boolean } | undefined {
    let entry = this.#l3;
    let user = (entry & 4n) !== 0n;
    let writable = (entry & 2n) !== 0n;
    let executable = true;
    for (const shift of [30n, 21n, 12n]) {
      const table = this.#pages.get(Number(entry & 0x000ffffffffff000n));
      if (table === undefined) throw new Error("a table is missing");
      entry = table.getBigUint64(Number((virtual >> shift) & 511n) * 8, true);
      if ((entry & 1n) === 0n) return undefined;
      user &&= (entry & 4n) !== 0n;
      writable &&= (entry & 2n) !== 0n;
      executable &&= entry >> 63n === 0n;
      const large = shift === 21n && (entry & 0x80n) !== 0n;
      if (large || shift === 12n) {
        const mask = (1n << shift) - 1n;
        return {
          physical: (entry & 0x000ffffffffff000n & ~mask) | (virtual & mask),
          user,
          writable,
          executable,
        };
      }
    }
    return undefined;
  }
}

describe("emu in memory", () => {
  const placed = placeEmu(ELF, 32768);
  const { region } = placed;
  const walker = new Walker(placed.writes, placed.slot256);

  test("the m2p is the only thing ring 3 may read, and it may not write it", () => {
    expect(walker.lookUp(M2P_VIRTUAL + 8n)).toEqual({
      physical: BigInt(region.m2p + 8),
      user: true,
      writable: false,
      executable: false,
    });
    expect(walker.lookUp(M2P_VIRTUAL + BigInt(region.m2pBytes))).toBeUndefined();
    for (let page = 0n; page < (1n << 27n) - BigInt(region.m2pBytes >> 12); page += 509n) {
      const virtual = M2P_VIRTUAL + BigInt(region.m2pBytes) + (page << 12n);
      expect(walker.lookUp(virtual)?.user ?? false).toBe(false);
    }
  });

  test("the direct map shows all machine memory to emu alone, as data", () => {
    for (const address of [0, 4096 * 32767, region.sharedInfo, region.machinePages * 4096 - 8])
      expect(walker.lookUp(DIRECT_MAP_VIRTUAL + BigInt(address))).toEqual({
        physical: BigInt(address),
        user: false,
        writable: true,
        executable: false,
      });
    expect(walker.lookUp(DIRECT_MAP_VIRTUAL + BigInt(region.machinePages * 4096))).toBeUndefined();
  });

  test("no page of the image is both writable and executable", () => {
    const code = walker.lookUp(placed.entry);
    expect(code).toMatchObject({ user: false, writable: false, executable: true });
    expect(code!.physical).toBe(BigInt(region.base) + (placed.entry - IMAGE_VIRTUAL));
    for (let offset = 0n; offset < 0x100000n; offset += 4096n) {
      const page = walker.lookUp(IMAGE_VIRTUAL + offset);
      if (page !== undefined) expect(page.writable && page.executable).toBe(false);
    }
  });

  test("the windows for descriptor tables are empty and share one table", () => {
    expect(walker.lookUp(GDT_VIRTUAL)).toBeUndefined();
    expect(walker.lookUp(LDT_VIRTUAL + 0xf000n)).toBeUndefined();
    expect(placed.writes.some(({ address }) => address === placed.bootInfo.descriptorL1)).toBe(true);
  });

  test.each(RAM_SIZES)("%i pages can be placed", (ramPages) => {
    const { region: placedRegion, writes } = placeEmu(ELF, ramPages);
    for (const { address, bytes } of writes) {
      expect(address).toBeGreaterThanOrEqual(placedRegion.base);
      expect(address + bytes.length).toBeLessThanOrEqual(placedRegion.machinePages * 4096);
    }
  });

  test("something else than emu is refused", () => {
    expect(() => placeEmu(new Uint8Array(64), 1024)).toThrow(/not an ELF/);
  });
});

describe("hypercalls", () => {
  test("the page calls each number, and saves what SYSCALL destroys", () => {
    const page = hypercallPage();
    const entry = (number: number) =>
      [...page.subarray(number * HYPERCALL_ENTRY_BYTES, (number + 1) * HYPERCALL_ENTRY_BYTES)]
        .map((byte) => byte.toString(16).padStart(2, "0"))
        .join("");
    expect(entry(29)).toMatch(/^514153b81d0000000f05415b59c3(cc)+$/);
    expect(entry(127)).toMatch(/^514153b87f0000000f05415b59c3(cc)+$/);
    // iret does not come back, and takes rax from the stack.
    expect(entry(23)).toMatch(/^51415350b8170000000f05(cc)+$/);
    expect(page.length).toBe(4096);
  });

  test("numbers and sub-operations ascend, and every row has one name", () => {
    for (const [index, { number, subops }] of HYPERCALLS.entries()) {
      expect(number).toBeGreaterThan(HYPERCALLS[index - 1]?.number ?? -1);
      for (const [at, [subop]] of subops.entries()) expect(subop).toBeGreaterThan(subops[at - 1]?.[0] ?? -1);
    }
    const names = STATISTICS_ROWS.map(({ hypercall, subop }) => `${hypercall}/${subop}`);
    expect(new Set(names).size).toBe(names.length);
    expect(STATISTICS_GROUPS.reduce((rows, group) => rows + group.rows, 1)).toBe(STATISTICS_ROWS.length);
  });

  test("statistics come out under the names they were counted by", () => {
    const bytes = new Uint8Array(STATISTICS.bytes);
    const view = new DataView(bytes.buffer);
    const offset = (name: string) => STATISTICS.fields.find((field) => field.name === name)!.offset;
    const count = (hypercall: string, subop: string | null, values: readonly number[]) => {
      const row = STATISTICS_ROWS.findIndex((each) => each.hypercall === hypercall && each.subop === subop);
      for (const [at, value] of values.entries())
        view.setBigUint64(offset("rows") + (row * ROW_COUNTERS.length + at) * 8, BigInt(value), true);
    };
    count("mmuext_op", "MMUEXT_PIN_L4_TABLE", [10, 0, 1, 5000]);
    count("event_channel_op", "EVTCHNOP_send", [6, 5, 0, 900]);
    view.setBigUint64(offset("traps") + TRAP_KINDS.indexOf("page_fault") * 8, 7n, true);
    view.setBigUint64(offset("upcalls"), 3n, true);
    expect(decodeStatistics(bytes)).toEqual({
      hypercalls: [
        {
          hypercall: "mmuext_op",
          subop: "MMUEXT_PIN_L4_TABLE",
          calls: 10,
          inEmu: 10,
          byPort: 0,
          errors: 1,
          instructions: 5000,
        },
        {
          hypercall: "event_channel_op",
          subop: "EVTCHNOP_send",
          calls: 6,
          inEmu: 1,
          byPort: 5,
          errors: 0,
          instructions: 900,
        },
      ],
      totals: { calls: 16, inEmu: 11, byPort: 5, errors: 1, instructions: 5900, shareInEmu: 11 / 16 },
      traps: { page_fault: 7 },
      upcalls: 3,
      cr3Switches: 0,
    });
  });
});
