/**
 * A machine in flat 32-bit protected mode for tests that are too small for an image of the suite: a GDT, an IDT, handlers
 * and a few instructions.
 */
import type { Cpu } from "../cpu.ts";
import { createCpu } from "../door/create-cpu.ts";

const CODE = 0x1000;
const HANDLERS = 0x2000;
const HANDLER_BYTES = 64;
const IDT = 0x3000;
const GDT = 0x4000;
const TABLE_POINTERS = 0x5000;
/** The stack's top at the start. */
export const STACK = 0x8000;
/** EIP, CS and EFLAGS in the frame of an interrupt without change of ring. */
export const FRAME_BYTES = 12;

export const [STI, CLI, HLT, INC_EAX, INC_EDX, NOP, IRET] = [0xfb, 0xfa, 0xf4, 0x40, 0x42, 0x90, 0xcf];
/** ECX is the selector that SS has. */
export const MOV_SS_ECX = [0x8e, 0xd1];
/** lidt [TABLE_POINTERS] and lgdt [TABLE_POINTERS + 16] */
const SETUP = [...[0x0f, 0x01, 0x1d, 0x00, 0x50, 0x00, 0x00], ...[0x0f, 0x01, 0x15, 0x10, 0x50, 0x00, 0x00]];
/** Address of the code under test. */
export const PROGRAM = CODE + SETUP.length;

/** Vectors that have a gate. */
const VECTORS = [1, 2, 6, 0x20];

/** Address of a vector's handler. */
export const handler = (vector: number): number => HANDLERS + vector * HANDLER_BYTES;

/** A machine about to run `code` (bytes), with interrupts off. Handlers of vectors 1, 2, 6 and 0x20 halt unless they are given. */
export function machine(
  code: readonly number[],
  handlers: Readonly<Record<number, readonly number[]>> = {},
): Cpu {
  const cpu = createCpu({ pages: 16 });
  const m = cpu.memory;
  m.writeU64(GDT + 8, 0x00cf9b000000ffffn);
  m.writeU64(GDT + 16, 0x00cf93000000ffffn);
  for (const vector of VECTORS) {
    m.writeU64(IDT + vector * 8, (0x8e00n << 32n) | (8n << 16n) | BigInt(handler(vector)));
    m.write(handler(vector), new Uint8Array(handlers[vector] ?? [HLT]));
  }
  m.write(TABLE_POINTERS, new Uint8Array([0xff, 0x07, IDT & 0xff, IDT >> 8, 0, 0]));
  m.write(TABLE_POINTERS + 16, new Uint8Array([0x17, 0x00, GDT & 0xff, GDT >> 8, 0, 0]));
  m.write(CODE, new Uint8Array([...SETUP, ...code]));
  cpu.enterProtectedMode();
  cpu.setRegister("rip", BigInt(CODE));
  cpu.setRegister("rsp", BigInt(STACK));
  cpu.setRegister("rcx", 16n);
  cpu.setRegister("rdx", 0n);
  cpu.run(2);
  return cpu;
}

/** Offset in the code under test that the topmost frame on the stack names. */
export function framed(cpu: Cpu): number {
  return cpu.memory.readU32(Number(cpu.getRegister("rsp"))) - PROGRAM;
}
