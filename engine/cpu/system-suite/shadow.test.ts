// When the external interrupt line is looked at. The images have no source of interrupts that qemu and our core share, so
// these few expectations come from the manual: STI and loads of SS hold interrupts off for one instruction (SDM vol. 3A
// 6.8.3), CLI in that instruction keeps them off, HLT ends with one, and an interrupt gate clears IF.

import { describe, expect, test } from "vitest";
import type { Cpu } from "../cpu.ts";
import { createCpu } from "../door/create-cpu.ts";

const CODE = 0x1000;
const HANDLER = 0x2000;
const IDT = 0x3000;
const GDT = 0x4000;
const STACK = 0x8000;
const VECTOR = 0x20;
const LIMIT = 1000;
const IF = 0x200n;
/** EIP and EFLAGS in the frame of an interrupt without change of ring. */
const FRAME_BYTES = 12;

const [STI, CLI, HLT, INC_EAX, NOP] = [0xfb, 0xfa, 0xf4, 0x40, 0x90];
const MOV_SS_ECX = [0x8e, 0xd1];
/** lidt [0x5000] */
const LIDT = [0x0f, 0x01, 0x1d, 0x00, 0x50, 0x00, 0x00];
/** lgdt [0x5010] */
const LGDT = [0x0f, 0x01, 0x15, 0x10, 0x50, 0x00, 0x00];

/** A machine in flat 32-bit mode that is about to run the code; interrupts go to a HLT. */
function machine(code: readonly number[]): Cpu {
  const cpu = createCpu({ pages: 16 });
  const m = cpu.memory;
  m.writeU64(GDT + 8, 0x00cf9b000000ffffn);
  m.writeU64(GDT + 16, 0x00cf93000000ffffn);
  m.writeU64(IDT + VECTOR * 8, (0x8e00n << 32n) | (8n << 16n) | BigInt(HANDLER));
  m.write(0x5000, new Uint8Array([0xff, 0x07, IDT & 0xff, IDT >> 8, 0, 0]));
  m.write(0x5010, new Uint8Array([0x17, 0x00, GDT & 0xff, GDT >> 8, 0, 0]));
  m.write(HANDLER, new Uint8Array([HLT]));
  m.write(CODE, new Uint8Array([...LIDT, ...LGDT, ...code]));
  cpu.setControl("cr0", 0x11n);
  for (let i = 0; i < 6; i++) {
    cpu.setSegment(i, {
      selector: i === 1 ? 8 : 16,
      base: 0n,
      limit: 0xffffffff,
      attributes: i === 1 ? 0xc09b : 0xc093,
    });
  }
  cpu.setRegister("rip", BigInt(CODE));
  cpu.setRegister("rsp", BigInt(STACK));
  cpu.setRegister("rcx", 16n);
  cpu.setRegister("rflags", 2n);
  cpu.run(2);
  return cpu;
}

/** Offset in the code at which the interrupt came. */
function interruptedAt(cpu: Cpu): number {
  expect(cpu.getRegister("rip")).toBe(BigInt(HANDLER + 1));
  expect(cpu.getRegister("rsp")).toBe(BigInt(STACK - FRAME_BYTES));
  return cpu.memory.readU32(STACK - FRAME_BYTES) - CODE - LIDT.length - LGDT.length;
}

describe("external interrupts", () => {
  test("wait for the instruction after STI", () => {
    const cpu = machine([STI, INC_EAX, INC_EAX, HLT]);
    cpu.setInterrupt(VECTOR);
    cpu.run(LIMIT);
    expect(interruptedAt(cpu)).toBe(2);
    expect(cpu.getRegister("rax")).toBe(1n);
  });

  test("do not come between STI and CLI", () => {
    const cpu = machine([STI, CLI, INC_EAX, HLT]);
    cpu.setInterrupt(VECTOR);
    expect(cpu.run(LIMIT)).toEqual({ kind: "halt", interruptsEnabled: false });
    expect(cpu.getRegister("rax")).toBe(1n);
  });

  test("come at once after an STI that changes nothing", () => {
    const cpu = machine([STI, NOP, STI, INC_EAX, HLT]);
    cpu.run(cpu.instructions + 3);
    cpu.setInterrupt(VECTOR);
    cpu.run(LIMIT);
    expect(interruptedAt(cpu)).toBe(3);
  });

  test("wait for the instruction after MOV SS", () => {
    const cpu = machine([STI, NOP, ...MOV_SS_ECX, INC_EAX, INC_EAX, HLT]);
    cpu.run(cpu.instructions + 3);
    cpu.setInterrupt(VECTOR);
    cpu.run(LIMIT);
    expect(interruptedAt(cpu)).toBe(5);
  });

  test("wake a processor that halted right after STI, and the frame has IF", () => {
    const cpu = machine([STI, HLT, INC_EAX]);
    expect(cpu.run(LIMIT)).toEqual({ kind: "halt", interruptsEnabled: true });
    cpu.setInterrupt(VECTOR);
    expect(cpu.run(LIMIT)).toEqual({ kind: "halt", interruptsEnabled: false });
    expect(interruptedAt(cpu)).toBe(2);
    expect(BigInt(cpu.memory.readU32(STACK - 4)) & IF).toBe(IF);
  });
});
