/*
 * Pages of device registers: instructions that read, write, change and copy registers outside memory are run on a device that
 * notes what is done to it. Each access must be there once, with the value a memory operand would have had; registers and the
 * instruction count must be as if it had been memory, one instruction at a time as in one go. Without the page declared, or
 * for what devices have no registers of that width, the address is like any other where nothing is.
 */
import { expect, test } from "vitest";
import type { Cpu } from "./cpu.ts";
import { createCpu } from "./door/create-cpu.ts";
import { REGISTER_NAMES } from "./types.ts";

const CODE = 0x10_0000;
const DATA = 0x20_0000;
/** Outside the 16 MiB of memory. */
const DEVICE = 0x0200_0000;

/** A device whose register at offset n reads as 0x11110000 + n until it is written. */
class Device {
  readonly log: string[] = [];
  readonly #values = new Map<number, number>();

  read(address: number): number {
    return this.#values.get(address) ?? 0x1111_0000 + (address - DEVICE);
  }

  write(address: number, value: number): void {
    this.log.push(`${(address - DEVICE).toString(16)}=${value.toString(16)}`);
    this.#values.set(address, value);
  }
}

function start(code: readonly number[], declared: boolean): Cpu {
  const cpu = createCpu({ pages: 4096, model: "v2" });
  cpu.memory.writeU64(0x1000, 0x2003n);
  cpu.memory.writeU64(0x2000, 0x3003n);
  for (let i = 0; i < 32; i++) cpu.memory.writeU64(0x3000 + i * 8, BigInt(i * 0x20_0000) | 0x83n);
  cpu.enterLongMode(0x1000);
  cpu.memory.write(CODE, Uint8Array.from([...code, 0xf4]));
  cpu.setRegister("rip", BigInt(CODE));
  cpu.setRegister("rsp", 0x8_0000n);
  cpu.setRegister("rbx", BigInt(DEVICE));
  if (declared) cpu.setDevicePages([DEVICE / 4096]);
  return cpu;
}

interface Run {
  readonly log: readonly string[];
  readonly registers: Readonly<Record<string, bigint>>;
  readonly instructions: number;
  readonly data: string;
}

/** Runs to the HLT, in steps of so many instructions. */
function run(code: readonly number[], step = 1000, declared = true): Run {
  const cpu = start(code, declared);
  const device = new Device();
  for (;;) {
    let exit = cpu.run(cpu.instructions + step);
    if (exit.kind === "device") exit = cpu.accessDevice(device);
    if (exit.kind === "halt") break;
    if (exit.kind !== "limit") throw new Error(`unexpected exit ${exit.kind}`);
  }
  const registers = Object.fromEntries(REGISTER_NAMES.map((name) => [name, cpu.getRegister(name)]));
  const data = Buffer.from(cpu.memory.read(DATA, 64)).toString("hex");
  return { log: device.log, registers, instructions: cpu.instructions, data };
}

const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
/** mov r32, imm for ESI, EDI, ECX. */
const SET = { ecx: 0xb9, esi: 0xbe, edi: 0xbf } as const;
const set = (register: keyof typeof SET, value: number): number[] => [SET[register], ...u32(value)];

const CASES: Readonly<Record<string, { code: number[]; log: string[]; rax?: bigint; data?: string }>> = {
  "mov eax, [device+0x20]": { code: [0x8b, 0x43, 0x20], log: [], rax: 0x1111_0020n },
  "movzx eax, byte [device+0x21]": { code: [0x0f, 0xb6, 0x43, 0x21], log: [], rax: 0n },
  "mov rax, [device+0x10]": { code: [0x48, 0x8b, 0x43, 0x10], log: [], rax: 0x1111_0014_1111_0010n },
  "mov dword [device+0xb0], 5": { code: [0xc7, 0x83, ...u32(0xb0), ...u32(5)], log: ["b0=5"] },
  "mov byte [device+0x42], 7": { code: [0xc6, 0x43, 0x42, 7], log: ["40=11070040"] },
  "or dword [device+0x30], 0xf": { code: [0x83, 0x4b, 0x30, 0x0f], log: ["30=1111003f"] },
  "mov eax, 9; xchg eax, [device]": { code: [0xb8, ...u32(9), 0x87, 0x03], log: ["0=9"], rax: 0x1111_0000n },
  "mov, then mov back": {
    code: [0xc7, 0x43, 0x10, ...u32(0x1234), 0x8b, 0x43, 0x10, 0xff, 0xc0],
    log: ["10=1234"],
    rax: 0x1235n,
  },
  "push qword [device]; pop rax": { code: [0xff, 0x33, 0x58], log: [], rax: 0x1111_0004_1111_0000n },
  "std; rep movsd, 3 from the device": {
    code: [0xfd, ...set("ecx", 3), ...set("esi", DEVICE + 16), ...set("edi", DATA + 8), 0xf3, 0xa5],
    log: [],
    data: "080011110c00111110001111",
  },
  "std; rep stosd, 3 to the device": {
    code: [0xfd, ...set("ecx", 3), ...set("edi", DEVICE + 0x48), 0xb8, ...u32(6), 0xf3, 0xab],
    log: ["48=6", "44=6", "40=6"],
  },
  "rep stosd, 3 to the device: forwards it goes in one piece, which is for memory only": {
    code: [...set("ecx", 3), ...set("edi", DEVICE + 0x40), 0xb8, ...u32(6), 0xf3, 0xab],
    log: [],
  },
  "movsd from the device to the device": {
    code: [...set("esi", DEVICE + 8), ...set("edi", DEVICE + 0x80), 0xa5],
    log: ["80=11110008"],
  },
  // Of what is wider than a register, and of a hundred accesses in one instruction, nothing or the first few are served.
  "movups xmm0, [device]; movq rax, xmm0": {
    code: [0x0f, 0x10, 0x03, 0x66, 0x48, 0x0f, 0x7e, 0xc0],
    log: [],
    rax: 0xffff_ffff_ffff_ffffn,
  },
};

test.each(Object.entries(CASES))("%s", (_, { code, log, rax, data }) => {
  const result = run(code);
  expect(result.log).toEqual(log);
  if (rax !== undefined) expect(result.registers.rax).toBe(rax);
  if (data !== undefined) expect(result.data.slice(0, data.length)).toBe(data);
  // One instruction at a time, everything is the same.
  expect(run(code, 1)).toEqual(result);
});

test("an instruction of very many accesses ends", () => {
  const code = [0xfd, ...set("ecx", 1000), ...set("edi", DEVICE + 0xffc), 0xb8, ...u32(6), 0xf3, 0xab];
  const { log, registers } = run(code);
  expect(registers.rcx).toBe(0n);
  expect(log.length).toBeLessThan(100);
  expect(log.slice(0, 2)).toEqual(["ffc=6", "ff8=6"]);
});

test("a page that is not declared is nothing", () => {
  const read = run([0x8b, 0x43, 0x20], 1000, false);
  expect(read.registers.rax).toBe(0xffff_ffffn);
  expect(run([0xc7, 0x43, 0x10, ...u32(1)], 1000, false).log).toEqual([]);
});

test("a page fault comes before the device's access, and is the guest's", () => {
  // push [device] onto a stack that is not mapped, without an IDT: the processor shuts down, and the device was not written.
  const cpu = start([0x48, 0xc7, 0xc4, ...u32(0x7000_0000), 0xff, 0x33], true);
  let exit = cpu.run(1000);
  const device = new Device();
  if (exit.kind === "device") exit = cpu.accessDevice(device);
  expect(exit.kind).toBe("shutdown");
  expect(device.log).toEqual([]);
});
