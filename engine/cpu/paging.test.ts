import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { POOL_LIMITS } from "../limits.ts";
import { MapPageStore } from "../memory/page-store.ts";
import { stateHash } from "../memory/state-hash.ts";
import { Cpu } from "./cpu.ts";

/*
 * A processor with fewer frames than its memory has pages. A program that reads, writes and copies all over memory, across
 * pages and through page tables that are evicted as well, leaves the same memory whatever the pool is. And what the TLBs
 * hold cannot be seen: a page-table entry that is changed without INVLPG counts at once, whether or not the run was
 * interrupted in between.
 */

const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
const module = new NodeModule(readFileSync(`${import.meta.dirname}/core.wasm`));

const PAGES = 4096;
const ROOT = 0x1000;
const CODE = 0x10000;
const FIRST_TABLE = 0x4000;
const NONE = new Uint8Array(0);

/** A store that counts. */
class CountingStore extends MapPageStore {
  writes = 0;
  override write(gfn: number, page: Uint8Array): void {
    this.writes++;
    super.write(gfn, page);
  }
}

/** 64-bit mode with `code` at CODE, memory mapped one to one by pages of 4 KiB. */
function processor(code: readonly number[], store: MapPageStore, poolPages?: number): Cpu {
  const cpu = Cpu.create({ module, pages: PAGES, store, ...(poolPages !== undefined && { poolPages }) });
  const { memory } = cpu;
  memory.writeU64(ROOT, 0x2003n);
  memory.writeU64(0x2000, 0x3003n);
  for (let i = 0; i < PAGES / 512; i++) memory.writeU64(0x3000 + i * 8, BigInt(FIRST_TABLE + i * 4096) | 3n);
  for (let i = 0; i < PAGES; i++) memory.writeU64(FIRST_TABLE + i * 8, BigInt(i * 4096) | 3n);
  memory.write(CODE, Uint8Array.from(code));
  cpu.enterLongMode(ROOT);
  cpu.setRegister("rip", BigInt(CODE));
  return cpu;
}

const imm32 = (value: number): number[] =>
  [value, value >>> 8, value >>> 16, value >>> 24].map((b) => b & 255);

/** A random walk over 8 MiB: an addition to memory and a copy of 5,000 bytes in each of rbx steps. */
const WANDER = [
  ...[0x48, 0x69, 0xc0, ...imm32(1664525)], // again: imul rax, rax, 1664525
  ...[0x48, 0x05, ...imm32(1013904223)], // add rax, 1013904223
  ...[0x48, 0x89, 0xc7, 0x48, 0xc1, 0xef, 0x14], // mov rdi, rax; shr rdi, 20
  ...[0x48, 0x81, 0xe7, ...imm32(0x7fffff)], // and rdi, 0x7fffff
  ...[0x48, 0x81, 0xc7, ...imm32(0x100000)], // add rdi, 0x100000
  ...[0x48, 0x01, 0x07], // add [rdi], rax
  ...[0x48, 0x89, 0xc6, 0x48, 0xc1, 0xee, 0x18], // mov rsi, rax; shr rsi, 24
  ...[0x48, 0x81, 0xe6, ...imm32(0x7fffff)], // and rsi, 0x7fffff
  ...[0x48, 0x81, 0xc6, ...imm32(0x100000)], // add rsi, 0x100000
  ...[0xb9, ...imm32(5000), 0xf3, 0xa4], // mov ecx, 5000; rep movsb
  ...[0x48, 0xff, 0xcb], // dec rbx
  ...[0x75, 0xc1], // jnz again
  0xf4, // hlt
];
const STEPS = 30_000;

function wander(poolPages?: number, slice = Number.POSITIVE_INFINITY): { cpu: Cpu; store: CountingStore } {
  const store = new CountingStore();
  const cpu = processor(WANDER, store, poolPages);
  cpu.setRegister("rbx", BigInt(STEPS));
  while (cpu.run(Math.min(cpu.instructions + slice, 1e9)).kind === "limit");
  return { cpu, store };
}

describe("a pool that is too small for what the program touches", () => {
  const all = wander(Number.POSITIVE_INFINITY);
  const expected = stateHash(all.cpu, NONE);

  test("has nothing to evict if it is unlimited", () => {
    expect(all.store.writes).toBe(0);
    expect(all.cpu.getRegister("rbx")).toBe(0n);
    expect(all.cpu.paging.residentPages).toBeGreaterThan(2000);
  });

  test.each([
    [POOL_LIMITS.minPoolPages, Number.POSITIVE_INFINITY],
    [POOL_LIMITS.minPoolPages, 1000],
    [700, 77],
    [1500, Number.POSITIVE_INFINITY],
  ])("of %i frames, slices of %f: the same memory and registers", (poolPages, slice) => {
    const { cpu, store } = wander(poolPages, slice);
    expect(store.writes).toBeGreaterThan(3000);
    expect(cpu.paging.residentPages).toBeLessThanOrEqual(poolPages);
    expect(cpu.instructions).toBe(all.cpu.instructions);
    expect(stateHash(cpu, NONE)).toBe(expected);
  });

  test("is refused if it could not hold what one instruction needs", () => {
    expect(() => processor([0xf4], new MapPageStore(), POOL_LIMITS.minPoolPages - 1)).toThrow(RangeError);
  });

  test("the hash sees one bit of memory, one of a register, and idle time", () => {
    const { cpu } = wander(POOL_LIMITS.minPoolPages);
    const seen = new Set([stateHash(cpu, NONE)]);
    cpu.memory.writeU8(0x555555, cpu.memory.readU8(0x555555) ^ 1);
    seen.add(stateHash(cpu, NONE));
    cpu.setRegister("r15", 1n);
    seen.add(stateHash(cpu, NONE));
    cpu.idleTicks += 1;
    seen.add(stateHash(cpu, NONE));
    seen.add(stateHash(cpu, Uint8Array.of(1)));
    expect(seen.size).toBe(5);
  });

  test("a store that fails leaves the page as it was", () => {
    const store = new CountingStore();
    const cpu = processor([0x48, 0x8b, 0x06, 0xf4], store); // mov rax, [rsi]; hlt
    const read = store.read.bind(store);
    cpu.setRegister("rsi", 0x800000n);
    store.write(0x800, new Uint8Array(4096).fill(7));
    store.read = (gfn, into) => {
      if (gfn === 0x800) throw new Error("cannot read");
      return read(gfn, into);
    };
    expect(() => cpu.run(100)).toThrow("cannot read");
    store.read = read;
    expect(cpu.memory.readU8(0x800000)).toBe(7);
  });
});

describe("a page-table entry changed without INVLPG", () => {
  const PAGE_A = 0x400000;
  const PAGE_B = 0x401000;
  const ENTRY = FIRST_TABLE + (PAGE_A / 4096) * 8;
  const program = [
    ...[0x48, 0x8b, 0x06], // mov rax, [rsi]
    ...[0x48, 0x89, 0x1f], // mov [rdi], rbx
    ...[0x4c, 0x8b, 0x06], // mov r8, [rsi]
    0xf4, // hlt
  ];
  const prepare = (entry: number): { cpu: Cpu; store: MapPageStore } => {
    const store = new MapPageStore();
    const cpu = processor(program, store);
    cpu.memory.writeU64(PAGE_A, 0xaan);
    cpu.memory.writeU64(PAGE_B, 0xbbn);
    cpu.setRegister("rsi", BigInt(PAGE_A));
    cpu.setRegister("rdi", BigInt(ENTRY));
    cpu.setRegister("rbx", BigInt(entry));
    return { cpu, store };
  };
  const ways: readonly (readonly [string, (cpu: Cpu) => void])[] = [
    ["in one run", (cpu) => cpu.run(100)],
    [
      "in slices of one instruction",
      (cpu) => {
        while (cpu.run(cpu.instructions + 1).kind === "limit");
      },
    ],
    [
      "restored after each instruction",
      (cpu) => {
        while (cpu.run(cpu.instructions + 1).kind === "limit") cpu.loadState(cpu.saveState());
      },
    ],
  ];

  test.each(ways)("maps the other page at once, %s", (_, run) => {
    const { cpu } = prepare(PAGE_B | 3);
    run(cpu);
    expect([cpu.getRegister("rax"), cpu.getRegister("r8")]).toEqual([0xaan, 0xbbn]);
  });

  test.each(ways)("has its A bit set again when its page is touched, %s", (_, run) => {
    const { cpu } = prepare(PAGE_A | 3);
    run(cpu);
    expect(cpu.memory.readU64(ENTRY)).toBe(BigInt(PAGE_A | 0x23));
  });
});
