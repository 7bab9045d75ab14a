// Real-address mode as far as a boot trampoline or a boot sector goes: the vector table, 64 KiB limits, far transfers that
// multiply selectors by 16, the way into protected mode, and the x87's environment, whose pointers are linear addresses
// there. The expectations are the manual's: SDM vol. 3A 9.9.1 and 20.1, vol. 1 8.1.10 (figures 8-10 and 8-12).

import { describe, expect, test } from "vitest";
import type { Cpu } from "../cpu.ts";
import { createCpu } from "../door/create-cpu.ts";

const SEGMENT = 0x1000;
const BASE = SEGMENT * 16;
const DATA_SEGMENT = 0x2345;
const DATA = DATA_SEGMENT * 16;
const LIMIT = 1000;
const HLT = 0xf4;
const UD = 6;
const GP = 13;
const handler = (vector: number): number => 0x600 + vector * 16;

/** Real mode at 1000:ip with DS = ES = 2345, SS:SP = 0000:7000; every vector leads to a HLT. */
function machine(code: readonly number[], ip = 0): Cpu {
  const cpu = createCpu({ pages: 512 });
  const real = (selector: number) => ({
    selector,
    base: BigInt(selector * 16),
    limit: 0xffff,
    attributes: 0x93,
  });
  for (let vector = 0; vector < 32; vector++) {
    cpu.memory.writeU32(vector * 4, handler(vector));
    cpu.memory.writeU8(handler(vector), HLT);
  }
  cpu.memory.write(BASE + ip, new Uint8Array(code));
  cpu.setSegment(0, real(DATA_SEGMENT));
  cpu.setSegment(1, { ...real(SEGMENT), attributes: 0x9b });
  cpu.setSegment(2, real(0));
  cpu.setSegment(3, real(DATA_SEGMENT));
  cpu.setRegister("rip", BigInt(ip));
  cpu.setRegister("rsp", 0x7000n);
  cpu.setRegister("rflags", 2n);
  return cpu;
}

/** Runs to the HLT; the vector whose handler it is in, or undefined. */
function vectorAtEnd(cpu: Cpu): number | undefined {
  expect(cpu.run(LIMIT).kind).toBe("halt");
  const at = Number(cpu.getRegister("rip")) - 1;
  return cpu.getSegment(1).selector === 0 ? (at - 0x600) / 16 : undefined;
}

const u16 = (cpu: Cpu, at: number): number => cpu.memory.readU32(at) & 0xffff;

describe("interrupts", () => {
  test("a fault pushes IP, CS and FLAGS, two bytes each, and no error code", () => {
    const cpu = machine([0x90, 0x0f, 0x0b]); // nop; ud2
    expect(vectorAtEnd(cpu)).toBe(UD);
    expect(cpu.getRegister("rsp")).toBe(0x7000n - 6n);
    expect([u16(cpu, 0x6ffa), u16(cpu, 0x6ffc), u16(cpu, 0x6ffe) & 0xfeff]).toEqual([1, SEGMENT, 2]);
  });

  test("INT n clears IF, and IRET brings it back", () => {
    const cpu = machine([0xfb, 0x90, 0xcd, 0x10, HLT]); // sti; nop; int 0x10; hlt
    cpu.memory.write(handler(0x10), new Uint8Array([0x9c, 0x58, 0xcf])); // pushf; pop ax; iret
    cpu.run(LIMIT);
    expect(cpu.getRegister("rip")).toBe(5n);
    expect(cpu.getRegister("rax") & 0x200n).toBe(0n);
    expect(cpu.getRegister("rflags") & 0x200n).toBe(0x200n);
  });
});

describe("limits of 64 KiB", () => {
  test("a word at FFFF is #GP", () => {
    expect(vectorAtEnd(machine([0xa1, 0xff, 0xff]))).toBe(GP); // mov ax, [0xffff]
    expect(vectorAtEnd(machine([0xa0, 0xff, 0xff, HLT]))).toBe(undefined); // mov al, [0xffff]
  });

  test("through BP it is #SS", () => {
    expect(vectorAtEnd(machine([0xbd, 0xff, 0xff, 0x8b, 0x46, 0x00]))).toBe(12); // mov bp, -1; mov ax, [bp]
  });

  test("an instruction may end at FFFF, but none begins behind it", () => {
    const cpu = machine([0x90, 0x90], 0xfffe);
    expect(vectorAtEnd(cpu)).toBe(GP);
    expect(u16(cpu, 0x6ffc)).toBe(SEGMENT);
  });

  test("one that goes on beyond FFFF is #GP at its beginning", () => {
    const cpu = machine([0xb8, 0x34, 0x12], 0xfffe); // mov ax, 0x1234
    expect(vectorAtEnd(cpu)).toBe(GP);
    expect(u16(cpu, 0x6ffa)).toBe(0xfffe);
  });
});

describe("far transfers", () => {
  test("CALL and RETF", () => {
    const cpu = machine([0x9a, 0x08, 0x00, 0x00, 0x11, HLT]); // call 1100:0008; hlt
    cpu.memory.write(0x11008, new Uint8Array([0x8c, 0xc8, 0xcb])); // mov ax, cs; retf
    expect(vectorAtEnd(cpu)).toBe(undefined);
    expect(cpu.getRegister("rax") & 0xffffn).toBe(0x1100n);
    expect(cpu.getSegment(1)).toMatchObject({ selector: SEGMENT, base: BigInt(BASE) });
  });
});

describe("into protected mode", () => {
  test("LGDT, CR0.PE, a far jump with a 32-bit offset, and 32-bit code", () => {
    const GDT = 0x3000;
    const cpu = machine([
      ...[0x0f, 0x01, 0x16, 0x00, 0x00], // lgdt [0]
      ...[0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], // mov eax, cr0; or al, 1; mov cr0, eax
      ...[0x66, 0xea, 0x00, 0x00, 0x05, 0x00, 0x08, 0x00], // jmp 8:0x50000
    ]);
    cpu.memory.write(DATA, new Uint8Array([0x17, 0, GDT & 0xff, GDT >> 8, 0, 0]));
    cpu.memory.writeU64(GDT + 8, 0x00cf9b000000ffffn);
    cpu.memory.writeU64(GDT + 16, 0x00cf93000000ffffn);
    cpu.memory.write(
      0x50000,
      new Uint8Array([
        ...[0xb8, 0x10, 0, 0, 0, 0x8e, 0xd8], // mov eax, 16; mov ds, eax
        ...[0xc7, 0x05, 0x00, 0x00, 0x12, 0x00, 0x78, 0x56, 0x34, 0x12, HLT], // mov dword [0x120000], 0x12345678
      ]),
    );
    expect(cpu.run(LIMIT).kind).toBe("halt");
    expect(cpu.memory.readU32(0x120000)).toBe(0x12345678);
    expect(cpu.getSegment(1)).toMatchObject({ selector: 8, base: 0n, limit: 0xffffffff });
  });
});

describe("the x87 environment", () => {
  /** fninit; fld dword [0x8004]; fnstenv [0x10] with or without 66; hlt */
  function environment(wide: boolean): Uint8Array {
    const fld = [0xd9, 0x06, 0x04, 0x80];
    const cpu = machine([0xdb, 0xe3, ...fld, ...(wide ? [0x66] : []), 0xd9, 0x36, 0x10, 0x00, HLT], 0x1230);
    expect(vectorAtEnd(cpu)).toBe(undefined);
    return cpu.memory.read(DATA + 0x10, wide ? 28 : 14);
  }
  const IP = BASE + 0x1232;
  const DP = DATA + 0x8004;
  /** D9 /0 with the memory operand: the low 11 bits of the opcode. */
  const OPCODE = 0x106;

  test("16 bits: linear addresses in 16 and 4 bits, the opcode beside", () => {
    const words = new Uint16Array(environment(false).buffer.slice(0, 14));
    expect([...words.slice(3)]).toEqual([
      IP & 0xffff,
      ((IP >> 16) << 12) | OPCODE,
      DP & 0xffff,
      (DP >> 16) << 12,
    ]);
  });

  test("32 bits: linear addresses in 16 and 16 bits", () => {
    const words = new Uint32Array(environment(true).buffer.slice(0, 28));
    expect([words[3]! & 0xffff, words[4], words[5]! & 0xffff, words[6]]).toEqual([
      IP & 0xffff,
      ((IP >> 16) << 12) | OPCODE,
      DP & 0xffff,
      (DP >> 16) << 12,
    ]);
  });

  test("FLDENV takes the same form back", () => {
    // fninit; fld dword [0x8004]; fnstenv [0x10]; fninit; fldenv [0x10]; fnstenv [0x30]; hlt
    const code = [
      0xdb, 0xe3, 0xd9, 0x06, 0x04, 0x80, 0xd9, 0x36, 0x10, 0x00, 0xdb, 0xe3, 0xd9, 0x26, 0x10, 0x00,
    ];
    const cpu = machine([...code, 0xd9, 0x36, 0x30, 0x00, HLT]);
    expect(vectorAtEnd(cpu)).toBe(undefined);
    expect(cpu.memory.read(DATA + 0x30, 14)).toEqual(cpu.memory.read(DATA + 0x10, 14));
  });
});
