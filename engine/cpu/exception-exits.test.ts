/*
 * A host may ask for exceptions of instructions, as VMX's exception bitmap does. One that it delivers again must leave no trace:
 * a program of page faults, protection faults, divisions by zero and invalid opcodes, in rings 0 and 3, is run with and without, and
 * processor and memory are compared after every single instruction. What the host answers itself (a fault that it repairs
 * by moving RIP on) is not delivered, and what goes wrong in the delivery of an interrupt or a fault stays with the guest.
 */
import { describe, expect, test } from "vitest";
import type { Cpu } from "./cpu.ts";
import { createCpu } from "./door/create-cpu.ts";

const [DE, UD, DF, GP, PF] = [0, 6, 8, 13, 14];
const ALL = (1 << DE) | (1 << UD) | (1 << DF) | (1 << GP) | (1 << PF);
/** Flat memory, of which the page at HOLE is not mapped. */
const CODE = 0x1_0000;
const HANDLERS = 0x2_0000;
const HANDLER_BYTES = 32;
const IDT = 0x3_0000;
const GDT = 0x3_1000;
const TSS = 0x3_2000;
const POINTERS = 0x3_3000;
const STACK = 0x5_0000;
const TABLES = 0x6_0000;
const HOLE = 0x7_0000;
const VECTOR = 0x30;
const USER_CODE = 0x18 | 3;
const USER_DATA = 0x20 | 3;

const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
/** Each handler drops the error code, if there is one, skips the two bytes at fault, counts in ECX and returns. */
const handler = (hasError: boolean, step: number): number[] => [
  ...(hasError ? [0x58, 0x01, 0xc2] : []), // pop rax; add edx, eax
  ...[0x48, 0x83, 0x04, 0x24, step], // add qword [rsp], step
  ...[0xff, 0xc1, 0x48, 0xcf], // inc ecx; iretq
];
/** The instructions at fault have two bytes each. RBX is HOLE. */
const PROGRAM = [
  ...[0x8b, 0x03], // mov eax, [rbx]: not present
  ...[0x89, 0x03], // mov [rbx], eax
  ...[0x0f, 0x0b], // ud2
  ...[0x31, 0xf6, 0xf7, 0xf6], // xor esi, esi; div esi
  ...[0x48, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0x80], // mov rbx, a non-canonical address
  ...[0x8b, 0x03], // mov eax, [rbx]: #GP
  ...[0xbb, ...u32(HOLE)],
  ...[0xff, 0xcf], // dec edi
];
const TO_USER = [
  ...[0x6a, USER_DATA, 0x68, ...u32(STACK - 0x1000), 0x6a, 0x02, 0x6a, USER_CODE], // push ss, rsp, flags, cs
  ...[0x68, ...u32(CODE + 0x1000), 0x48, 0xcf], // push rip; iretq
];
const USER = [...PROGRAM, ...[0xe6, 0x80], ...[0xeb, 0xfe]]; // out 0x80, al: #GP; jmp .

interface Options {
  readonly exits: boolean;
  readonly idt?: boolean;
}

function machine(code: readonly number[], { exits, idt = true }: Options): Cpu {
  const cpu = createCpu({ pages: 256 });
  const m = cpu.memory;
  m.writeU64(TABLES, BigInt(TABLES + 0x1007));
  m.writeU64(TABLES + 0x1000, BigInt(TABLES + 0x2007));
  m.writeU64(TABLES + 0x2000, BigInt(TABLES + 0x3007));
  for (let page = 0; page < 256; page++)
    m.writeU64(TABLES + 0x3000 + page * 8, page * 4096 === HOLE ? 0n : BigInt(page * 4096 + 7));
  for (const vector of idt ? [DE, UD, GP, PF] : []) {
    const hasError = vector === GP || vector === PF;
    m.write(HANDLERS + vector * HANDLER_BYTES, Uint8Array.from(handler(hasError, 2)));
  }
  m.write(HANDLERS + VECTOR * HANDLER_BYTES, Uint8Array.from([0x41, 0xff, 0xc0, 0x48, 0xcf])); // inc r8d; iretq
  for (const vector of idt ? [DE, UD, GP, PF, VECTOR] : []) {
    const at = BigInt(HANDLERS + vector * HANDLER_BYTES);
    const low = (at & 0xffffn) | (8n << 16n) | (0x8en << 40n) | ((at >> 16n) << 48n);
    m.writeU64(IDT + vector * 16, low);
  }
  const descriptors = [
    0n,
    0x00af9b000000ffffn,
    0x00cf93000000ffffn,
    0x00affb000000ffffn,
    0x00cff3000000ffffn,
  ];
  for (const [i, descriptor] of descriptors.entries()) m.writeU64(GDT + i * 8, descriptor);
  m.writeU64(GDT + 0x28, 0x67n | (BigInt(TSS) << 16n) | (0x89n << 40n));
  m.writeU64(TSS + 4, BigInt(STACK));
  m.writeU32(TSS + 0x64, 0x68_0000); // no I/O permission bitmap
  m.write(POINTERS, Uint8Array.from([0xff, 0x0f, ...u32(IDT), 0, 0, 0, 0]));
  m.write(POINTERS + 16, Uint8Array.from([0x37, 0x00, ...u32(GDT), 0, 0, 0, 0]));
  const setup = [
    ...[0x0f, 0x01, 0x1c, 0x25, ...u32(POINTERS), 0x0f, 0x01, 0x14, 0x25, ...u32(POINTERS + 16)], // lidt, lgdt
    ...[0xb8, ...u32(0x28), 0x0f, 0x00, 0xd8, 0xbf, ...u32(20), 0xbb, ...u32(HOLE)], // ltr; edi = 20; ebx
  ];
  m.write(CODE, Uint8Array.from([...setup, ...code]));
  m.write(CODE + 0x1000, Uint8Array.from(USER));
  cpu.enterLongMode(TABLES);
  cpu.setRegister("rip", BigInt(CODE));
  cpu.setRegister("rsp", BigInt(STACK));
  if (exits) cpu.interceptExceptions(ALL);
  return cpu;
}

/** Runs to `limit` instructions and delivers again what leaves. Returns how often, and whether it shut down. */
function run(cpu: Cpu, limit: number): { exits: number; end: string } {
  for (let exits = 0; ; ) {
    const exit = cpu.run(limit);
    if (exit.kind !== "exception") return { exits, end: exit.kind };
    exits++;
    if (!cpu.deliverException(exit.vector, exit.errorCode)) return { exits, end: "shutdown" };
  }
}

/** Processor and memory; the bitmap itself is the host's business. */
function everything(cpu: Cpu): string {
  cpu.interceptExceptions(0);
  const state = Buffer.from(cpu.architecturalState()).toString("base64");
  const memory = [HANDLERS, IDT, STACK - 0x2000, STACK - 0x1000, TABLES + 0x3000].map((at) =>
    Buffer.from(cpu.memory.read(at, 4096)).toString("base64"),
  );
  return [state, ...memory].join();
}

const LOOP = [...PROGRAM, ...[0x75, 256 - PROGRAM.length - 2], ...TO_USER]; // jnz to the first

describe("exceptions that leave the processor", () => {
  test("delivered again they leave no trace, at no instruction", () => {
    const last = 700;
    const whole = machine(LOOP, { exits: true });
    const { exits, end } = run(whole, last);
    expect(end).toBe("limit");
    expect(exits).toBeGreaterThan(80);
    expect(whole.privilege).toBe(3);
    const stepped = machine(LOOP, { exits: true });
    const plain = machine(LOOP, { exits: false });
    for (let limit = 1; limit <= last; limit++) {
      stepped.interceptExceptions(ALL);
      run(stepped, limit);
      expect(run(plain, limit)).toEqual({ exits: 0, end: "limit" });
      if (everything(stepped) !== everything(plain)) expect.fail(`differs after ${limit} instructions`);
    }
    expect(everything(whole)).toBe(everything(plain));
  });

  test("only the vectors asked for", () => {
    const cpu = machine(LOOP, { exits: false });
    cpu.interceptExceptions(1 << UD);
    const exit = cpu.run(700);
    expect(exit).toEqual({ kind: "exception", vector: UD, errorCode: null });
    expect(cpu.getRegister("rcx")).toBe(2n);
  });

  test("the host sees error code and CR2, and may answer itself", () => {
    const cpu = machine(LOOP, { exits: true });
    expect(cpu.run(700)).toEqual({ kind: "exception", vector: PF, errorCode: 0 });
    expect(cpu.getControl("cr2")).toBe(BigInt(HOLE));
    expect(cpu.getRegister("rax")).toBe(0x28n);
    cpu.setRegister("rip", cpu.getRegister("rip") + 2n);
    expect(cpu.run(700)).toEqual({ kind: "exception", vector: PF, errorCode: 2 });
    expect(cpu.getRegister("rcx")).toBe(0n);
    expect(cpu.getRegister("rsp")).toBe(BigInt(STACK));
  });

  test("without an IDT it is a triple fault, as it would have been", () => {
    const plain = machine(LOOP, { exits: false, idt: false });
    expect(run(plain, 700)).toEqual({ exits: 0, end: "shutdown" });
    expect(run(machine(LOOP, { exits: true, idt: false }), 700)).toEqual({ exits: 1, end: "shutdown" });
  });

  test("a fault in the delivery of an interrupt stays with the guest", () => {
    // sti; nop; jmp . with a stack that is not there: #PF, then #DF, for which there is no gate.
    const code = [...[0xbc, ...u32(HOLE + 0x800)], 0xfb, 0x90, 0xeb, 0xfe];
    const cpu = machine(code, { exits: true });
    cpu.setInterrupt(VECTOR);
    expect(cpu.run(100)).toEqual({ kind: "shutdown" });
  });
});
