// Non-maskable interrupts, debug traps around instructions that want the host, and breakpoints on ports. As in
// shadow.test.ts the expectations come from the manual, for the images have no source of NMIs that qemu and our core share
// and no ports that leave the processor: SDM vol. 3A 6.7.1 (NMIs are blocked until IRET), 17.2.4 and 17.3.1 (I/O
// breakpoints and single steps are traps, behind the instruction), 17.3.1.1 (code breakpoints come before it).

import { describe, expect, test } from "vitest";
import type { Cpu } from "../cpu.ts";
import type { CpuExit } from "../types.ts";
import {
  FRAME_BYTES,
  framed,
  HLT,
  handler,
  INC_EAX,
  INC_EDX,
  IRET,
  MOV_SS_ECX,
  machine,
  NOP,
  PROGRAM,
  STACK,
  STI,
} from "./flat-machine.ts";

const [DB, NMI, UD] = [1, 2, 6];
const VECTOR = 0x20;
const LIMIT = 1000;
const TF = 0x100n;
const IF = 0x200n;

/** out 0x80, al and in al, 0x80 */
const OUT = [0xe6, 0x80];
const IN = [0xe4, 0x80];
const UD2 = [0x0f, 0x0b];

/** mov eax, value; mov drN, eax */
const setDr = (n: number, value: number): number[] => [
  ...[0xb8, value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff],
  ...[0x0f, 0x23, 0xc0 | (n << 3)],
];
/** mov eax, 8; mov cr4, eax */
const SET_DE = [0xb8, 8, 0, 0, 0, 0x0f, 0x22, 0xe0];

describe("non-maskable interrupts", () => {
  test("come with IF clear, through vector 2", () => {
    const cpu = machine([INC_EAX, INC_EAX, HLT]);
    cpu.run(cpu.instructions + 1);
    cpu.raiseNmi();
    expect(cpu.run(LIMIT)).toEqual({ kind: "halt", interruptsEnabled: false });
    expect(cpu.getRegister("rip")).toBe(BigInt(handler(NMI) + 1));
    expect(framed(cpu)).toBe(1);
  });

  test("wake a halted processor", () => {
    const cpu = machine([HLT, INC_EAX, HLT], { [NMI]: [IRET] });
    expect(cpu.run(LIMIT).kind).toBe("halt");
    expect(cpu.getRegister("rax")).toBe(0n);
    cpu.raiseNmi();
    expect(cpu.run(LIMIT).kind).toBe("halt");
    expect(cpu.getRegister("rax")).toBe(1n);
  });

  test("are held off until IRET, and one is kept", () => {
    const cpu = machine([NOP, INC_EAX, HLT], { [NMI]: [INC_EDX, INC_EDX, INC_EDX, IRET] });
    cpu.raiseNmi();
    cpu.run(cpu.instructions + 1);
    cpu.raiseNmi();
    cpu.raiseNmi();
    cpu.run(cpu.instructions + 1);
    expect(cpu.getRegister("rsp")).toBe(BigInt(STACK - FRAME_BYTES)); // not nested
    cpu.run(LIMIT);
    expect(cpu.getRegister("rdx")).toBe(6n);
    expect(cpu.getRegister("rax")).toBe(1n);
  });

  test("are taken before interrupts, whose turn comes inside the handler at the earliest", () => {
    const cpu = machine([STI, NOP, INC_EAX, HLT]);
    cpu.run(cpu.instructions + 2);
    cpu.setInterrupt(VECTOR);
    cpu.raiseNmi();
    cpu.run(LIMIT);
    expect(cpu.getRegister("rip")).toBe(BigInt(handler(NMI) + 1));
  });

  test("wait for the instruction after MOV SS", () => {
    const cpu = machine([...MOV_SS_ECX, INC_EAX, INC_EAX, HLT]);
    cpu.run(cpu.instructions + 1);
    cpu.raiseNmi();
    cpu.run(LIMIT);
    expect(framed(cpu)).toBe(3);
  });

  test("survive a checkpoint, pending as well as blocked", () => {
    const cpu = machine([INC_EAX, HLT], { [NMI]: [INC_EDX, INC_EDX, IRET] });
    cpu.raiseNmi();
    cpu.run(cpu.instructions + 1);
    cpu.raiseNmi();
    cpu.loadState(cpu.saveState());
    cpu.run(cpu.instructions + 1);
    expect(cpu.getRegister("rsp")).toBe(BigInt(STACK - FRAME_BYTES));
    cpu.run(LIMIT);
    expect(cpu.getRegister("rdx")).toBe(4n);
  });
});

describe("debug traps", () => {
  /** Runs up to the first halt, answering ports; returns the exits before it. */
  function exits(cpu: Cpu): CpuExit[] {
    const seen: CpuExit[] = [];
    for (;;) {
      const exit = cpu.run(LIMIT);
      if (exit.kind === "halt") return seen;
      seen.push(exit);
      if (exit.kind === "in") cpu.completeIn(0x5a);
      if (exit.kind === "exception" || seen.length > 10) return seen;
    }
  }

  function stepped(code: readonly number[]): Cpu {
    const cpu = machine(code);
    cpu.setRegister("rflags", 2n | TF);
    return cpu;
  }

  test("a single step over OUT comes behind it", () => {
    const cpu = stepped([...OUT, INC_EAX, HLT]);
    expect(exits(cpu).map((e) => e.kind)).toEqual(["out"]);
    expect(cpu.getRegister("rip")).toBe(BigInt(handler(DB) + 1));
    expect(framed(cpu)).toBe(2);
  });

  test("a single step over IN comes when the value is there", () => {
    const cpu = stepped([...IN, INC_EAX, HLT]);
    expect(exits(cpu).map((e) => e.kind)).toEqual(["in"]);
    expect(framed(cpu)).toBe(2);
    expect(cpu.getRegister("rax")).toBe(0x5an);
  });

  test("one that is due survives a checkpoint", () => {
    const cpu = stepped([...OUT, INC_EAX, HLT]);
    expect(cpu.run(LIMIT).kind).toBe("out");
    cpu.loadState(cpu.saveState());
    cpu.run(LIMIT);
    expect(framed(cpu)).toBe(2);
  });

  test("a single step over HLT wakes the processor", () => {
    const cpu = stepped([HLT, INC_EAX, HLT]);
    expect(exits(cpu)).toEqual([]);
    expect(cpu.getRegister("rip")).toBe(BigInt(handler(DB) + 1));
    expect(framed(cpu)).toBe(1);
  });

  test("a host that asked for exceptions gets them too", () => {
    const cpu = stepped([INC_EAX, INC_EAX, HLT]);
    cpu.setExceptionExit(true);
    expect(cpu.run(LIMIT)).toEqual({ kind: "exception", vector: DB, errorCode: null });
    expect(cpu.getRegister("rip")).toBe(BigInt(PROGRAM + 1));
    expect(cpu.getRegister("rsp")).toBe(BigInt(STACK));
  });

  test("the first instruction of a handler may have a breakpoint", () => {
    const code = [...setDr(0, handler(UD)), ...setDr(7, 0x2), ...UD2];
    const cpu = machine(code, { [UD]: [INC_EDX, HLT] });
    cpu.run(LIMIT);
    expect(cpu.getRegister("rip")).toBe(BigInt(handler(DB) + 1));
    expect(cpu.memory.readU32(STACK - 2 * FRAME_BYTES)).toBe(handler(UD));
    expect(cpu.getRegister("rdx")).toBe(0n);
  });

  test("a breakpoint on ports, with CR4.DE", () => {
    // DR7: breakpoint 0, global, R/W = 2 (I/O), LEN = 1 (two ports).
    const cpu = machine([...SET_DE, ...setDr(0, 0x80), ...setDr(7, 0x60002), ...OUT, INC_EDX, HLT]);
    expect(exits(cpu).map((e) => e.kind)).toEqual(["out"]);
    expect(cpu.getRegister("rip")).toBe(BigInt(handler(DB) + 1));
    expect(cpu.getRegister("rdx")).toBe(0n);
  });

  test("a breakpoint on other ports, or without CR4.DE, is none", () => {
    for (const prelude of [
      [...SET_DE, ...setDr(0, 0x82)],
      [NOP, ...setDr(0, 0x80)],
    ]) {
      const cpu = machine([...prelude, ...setDr(7, 0x60002), ...OUT, INC_EDX, HLT]);
      expect(exits(cpu).map((e) => e.kind)).toEqual(["out"]);
      expect(cpu.getRegister("rdx")).toBe(1n);
    }
  });
});

describe("interrupts and NMIs together", () => {
  test("an interrupt waits behind the NMI's handler with IF clear", () => {
    const cpu = machine([STI, NOP, INC_EAX, HLT], { [NMI]: [INC_EDX, IRET] });
    cpu.run(cpu.instructions + 2);
    cpu.setInterrupt(VECTOR);
    cpu.raiseNmi();
    cpu.run(LIMIT);
    expect(cpu.getRegister("rdx")).toBe(1n);
    expect(cpu.getRegister("rip")).toBe(BigInt(handler(VECTOR) + 1));
    expect(BigInt(cpu.memory.readU32(Number(cpu.getRegister("rsp")) + 8)) & IF).toBe(IF);
  });
});
