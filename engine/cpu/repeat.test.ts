/**
 * REP MOVS and REP STOS go as many elements at once as lie in the pages at hand. A program must not see that: memory and
 * registers are as after one element at a time (the model here, SDM vol. 2B REP), where the operands overlap, where an
 * index wraps, where two pages of linear memory are one page of physical memory and where a segment ends among the
 * elements. And a long repeat is charged by its bytes in 32-bit mode as in 64-bit mode.
 */
import { expect, test } from "vitest";
import type { Cpu } from "./cpu.ts";
import { createCpu } from "./door/create-cpu.ts";

const CODE = 0x1000;
const GDT = 0x2000;
const DATA = 0x2_0000;
const MIB = 0x10_0000;
const GP = 13;

/** A flat 32-bit machine without paging, and what is at DATA a byte pattern. */
function start32(code: readonly number[]): Cpu {
  const cpu = createCpu({ pages: 8192, model: "v2" });
  cpu.enterProtectedMode();
  cpu.memory.write(CODE, Uint8Array.from([...code, 0xf4]));
  cpu.memory.write(DATA, pattern(0x4000));
  cpu.setRegister("rip", BigInt(CODE));
  cpu.setRegister("rsp", 0x1_0000n);
  return cpu;
}

const pattern = (bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + (i >> 8)) & 0xff);

/** Copies forwards, element by element, as the manual says. */
function model(memory: Uint8Array, from: number, to: number, count: number, size: number): void {
  for (let i = 0; i < count; i++)
    memory.set(memory.slice(from + i * size, from + (i + 1) * size), to + i * size);
}

function set(cpu: Cpu, values: Record<string, number>): void {
  for (const [name, value] of Object.entries(values)) cpu.setRegister(name as "rax", BigInt(value));
}

test.each(
  [1, 2, 4].flatMap((size) => [-9, -3, 0, 1, 3, 4, 5, 64, 4095].map((distance) => [size, distance] as const)),
)("REP MOVS of %i-byte elements to %i bytes from its source", (size, distance) => {
  const cpu = start32(size === 1 ? [0xf3, 0xa4] : size === 2 ? [0x66, 0xf3, 0xa5] : [0xf3, 0xa5]);
  const from = DATA + 0x0fe1;
  const count = 0x1801;
  set(cpu, { rsi: from, rdi: from + distance, rcx: count });
  const expected = new Uint8Array(MIB);
  expected.set(pattern(0x4000), DATA);
  model(expected, from, from + distance, count, size);
  expect(cpu.run(1000).kind).toBe("halt");
  expect(cpu.memory.read(DATA, 0xc000)).toEqual(expected.subarray(DATA, DATA + 0xc000));
  expect(cpu.getRegister("rcx")).toBe(0n);
  expect(cpu.getRegister("rsi")).toBe(BigInt(from + count * size));
  expect(cpu.getRegister("rdi")).toBe(BigInt(from + distance + count * size));
});

test("a 16-bit index wraps among the elements", () => {
  const cpu = start32([0x67, 0xf3, 0xaa]); // REP STOSB with DI
  set(cpu, { rdi: 0x7_ff00, rcx: 0x5_0300, rax: 0x5a });
  cpu.memory.write(0xff00, new Uint8Array(0x300));
  expect(cpu.run(1000).kind).toBe("halt");
  expect(cpu.memory.read(0xfeff, 0x102)).toEqual(Uint8Array.from([0, ...Array<number>(0x100).fill(0x5a), 0]));
  expect(cpu.memory.read(0, 0x201)).toEqual(Uint8Array.from([...Array<number>(0x200).fill(0x5a), 0]));
  expect(cpu.getRegister("rdi") & 0xffffn).toBe(0x200n);
  expect(cpu.getRegister("rcx") & 0xffffn).toBe(0n);
});

test("a segment that ends among the elements faults at the first one beyond it", () => {
  const cpu = start32([0x0f, 0x01, 0x15, 0x00, 0x30, 0x00, 0x00, 0x8e, 0xc2, 0xf3, 0xab]); // LGDT [3000]; MOV ES, EDX; REP STOSD
  cpu.memory.write(0x3000, Uint8Array.from([0x0f, 0, 0, GDT >> 8, 0, 0]));
  // Writable data from DATA on, 0x1233 bytes: an element lies across the end.
  cpu.memory.writeU64(GDT + 8, 0x0040_9202_0000_1232n);
  set(cpu, { rdx: 8, rdi: 0, rcx: 0x1000, rax: 0x11223344 });
  cpu.interceptExceptions(1 << GP);
  expect(cpu.run(1000)).toEqual({ kind: "exception", vector: GP, errorCode: 0 });
  const done = 0x1233 >> 2;
  expect(cpu.getRegister("rdi")).toBe(BigInt(done * 4));
  expect(cpu.getRegister("rcx")).toBe(BigInt(0x1000 - done));
  expect(cpu.getRegister("rip")).toBe(BigInt(CODE + 9));
  expect(cpu.memory.readU32(DATA + (done - 1) * 4)).toBe(0x11223344);
  expect(cpu.memory.read(DATA + done * 4, 4)).toEqual(pattern(0x4000).subarray(done * 4, done * 4 + 4));
});

/** REP MOVSB between two linear addresses of one physical page, the destination three bytes ahead in it. */
test("linear addresses that share a page overlap as their bytes do", () => {
  const cpu = createCpu({ pages: 4096, model: "v2" });
  cpu.memory.writeU64(0x1000, 0x2003n);
  cpu.memory.writeU64(0x2000, 0x3003n);
  cpu.memory.writeU64(0x3000, 0x4003n);
  for (let i = 0; i < 64; i++) cpu.memory.writeU64(0x4000 + i * 8, BigInt(i * 0x1000) | 3n);
  cpu.memory.writeU64(0x4000 + 0x30 * 8, 0x2_0003n); // 0x30000 is 0x20000 once more
  cpu.enterLongMode(0x1000);
  cpu.memory.write(0x1_0000, Uint8Array.from([0xf3, 0xa4, 0xf4]));
  cpu.memory.write(DATA, pattern(0x1000));
  set(cpu, { rip: 0x1_0000, rsp: 0x1_8000, rsi: 0x2_0100, rdi: 0x3_0103, rcx: 0x800 });
  const expected = new Uint8Array(0x1000);
  expected.set(pattern(0x1000));
  model(expected, 0x100, 0x103, 0x800, 1);
  expect(cpu.run(1000).kind).toBe("halt");
  expect(cpu.memory.read(DATA, 0x1000)).toEqual(expected);
});

test("four MiB are charged the same in 32-bit as in 64-bit mode", () => {
  const fill = [0xf3, 0xab]; // REP STOSD
  const short = start32(fill);
  const long = createCpu({ pages: 8192, model: "v2" });
  long.memory.writeU64(0x1000, 0x2003n);
  long.memory.writeU64(0x2000, 0x3003n);
  for (let i = 0; i < 8; i++) long.memory.writeU64(0x3000 + i * 8, BigInt(i * 0x20_0000) | 0x83n);
  long.enterLongMode(0x1000);
  long.memory.write(0x8000, Uint8Array.from([...fill, 0xf4]));
  set(long, { rip: 0x8000, rsp: 0x1_0000 });
  const charged = [short, long].map((cpu) => {
    set(cpu, { rdi: 4 * MIB, rcx: MIB, rax: 0x5a5a5a5a });
    while (cpu.run(cpu.instructions + 1_000_000).kind === "limit");
    return cpu.instructions;
  });
  expect(charged[0]).toBe(charged[1]);
  expect(short.memory.readU32(8 * MIB - 4)).toBe(0x5a5a5a5a);
});
