// When the external interrupt line is looked at. The images have no source of interrupts that qemu and our core share, so
// these few expectations come from the manual: STI and loads of SS hold interrupts off for one instruction (SDM vol. 3A
// 6.8.3), CLI in that instruction keeps them off, HLT ends with one, and an interrupt gate clears IF.

import { describe, expect, test } from "vitest";
import type { Cpu } from "../cpu.ts";
import {
  CLI,
  FRAME_BYTES,
  framed,
  HLT,
  handler,
  INC_EAX,
  MOV_SS_ECX,
  machine,
  NOP,
  STACK,
  STI,
} from "./flat-machine.ts";

const VECTOR = 0x20;
const LIMIT = 1000;
const IF = 0x200n;

/** Offset in the code at which the interrupt came. */
function interruptedAt(cpu: Cpu): number {
  expect(cpu.getRegister("rip")).toBe(BigInt(handler(VECTOR) + 1));
  expect(cpu.getRegister("rsp")).toBe(BigInt(STACK - FRAME_BYTES));
  return framed(cpu);
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
