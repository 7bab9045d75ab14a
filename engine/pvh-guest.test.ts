/*
 * A PVH guest of our own, 40 instructions of 32-bit code: it finds Xen by CPUID, has its hypercall page filled by the MSR,
 * prints through the page, reads its local APIC's id, sends itself an interrupt, and powers off by VMCALL. The same run comes
 * out of slices of any size and of checkpoints at any instruction.
 */
import { describe, expect, test } from "vitest";
import { buildElf, xenNotes } from "./loader/testing/build-elf.ts";
import { checkMode, create, restore } from "./machine.ts";
import type { MachineApi, SliceEnd } from "./machine-api.ts";
import { MapPageStore } from "./memory/page-store.ts";
import { PARTS } from "./testing/parts.ts";

function canIntercept(): boolean {
  try {
    checkMode(PARTS.core, "pvh");
    return true;
  } catch {
    return false;
  }
}

const CODE = 0x100000;
const PAGE = 0x110000;
const IDT = 0x120000;
const HANDLER = 0x101000;
const TEXT = 0x102000;
const STACK = 0x130000;
const MESSAGE = "PVH-OK\n";
const VECTOR = 0x55;

const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
const MOV = { eax: 0xb8, ecx: 0xb9, edx: 0xba, ebx: 0xbb, esp: 0xbc } as const;
const mov = (register: keyof typeof MOV, value: number): number[] => [MOV[register], ...u32(value)];
const CPUID = [0x0f, 0xa2];
const WRMSR = [0x0f, 0x30];
const RDMSR = [0x0f, 0x32];
const CALL_EAX = [0xff, 0xd0];
const VMCALL = [0x0f, 0x01, 0xc1];
const entry = (number: number): number[] => [...mov("eax", PAGE + number * 32), ...CALL_EAX];
/** cmp eax, value; je over UD2. */
const check = (value: number): number[] => [0x3d, ...u32(value), 0x74, 0x02, 0x0f, 0x0b];

const code = [
  ...mov("esp", STACK),
  // "XenVMMXenVMM" has "XenV" in EBX.
  ...mov("eax", 0x40000000),
  ...CPUID,
  ...[0x89, 0xd8], // mov eax, ebx
  ...check(0x566e6558),
  ...mov("eax", 0x40000002),
  ...CPUID,
  ...[0x89, 0xd9], // mov ecx, ebx: the MSR
  ...mov("eax", PAGE),
  ...mov("edx", 0),
  ...WRMSR,
  // xen_version(XENVER_version)
  ...mov("ebx", 0),
  ...entry(17),
  ...check(0x40011),
  // The same by VMCALL.
  ...mov("eax", 17),
  ...VMCALL,
  ...check(0x40011),
  // console_io(CONSOLEIO_write, length, text)
  ...mov("ecx", MESSAGE.length),
  ...mov("edx", TEXT),
  ...entry(18),
  ...check(0),
  // The version of the local APIC, from memory and, in x2APIC mode, from its MSR; then it is enabled.
  ...[0xa1, ...u32(0xfee00030)],
  ...check(0x50014),
  ...mov("ecx", 0x1b),
  ...RDMSR,
  ...check(0xfee00900),
  ...[0x0d, ...u32(0x400)],
  ...WRMSR,
  ...mov("ecx", 0x803),
  ...RDMSR,
  ...check(0x50014),
  ...mov("ecx", 0x80f),
  ...mov("eax", 0x1ff),
  ...mov("edx", 0),
  ...WRMSR,
  // The gate of VECTOR: a 32-bit interrupt gate, selector 8; lidt.
  ...[0xc7, 0x05, ...u32(IDT + VECTOR * 8), ...u32((8 << 16) | (HANDLER & 0xffff))],
  ...[0xc7, 0x05, ...u32(IDT + VECTOR * 8 + 4), ...u32((HANDLER & 0xffff0000) | 0x8e00)],
  ...[0x0f, 0x01, 0x1d, ...u32(TEXT + 0x100)],
  ...[0x0f, 0x01, 0x15, ...u32(TEXT + 0x108)], // lgdt: the gate's selector is looked up
  // SELF IPI, then wait for it.
  ...mov("ecx", 0x83f),
  ...mov("eax", VECTOR),
  ...WRMSR,
  ...[0x31, 0xdb], // xor ebx, ebx
  ...[0xfb, 0xf4, 0x90], // sti; hlt; nop: the interrupt comes before HLT halts for good
  ...[0x89, 0xd8],
  ...check(0x1234),
  // sched_op(SCHEDOP_shutdown, { SHUTDOWN_poweroff })
  ...mov("eax", 29),
  ...mov("ebx", 2),
  ...mov("ecx", TEXT + 0x80),
  ...VMCALL,
  0x0f,
  0x0b,
];
const handler = [
  ...mov("ebx", 0x1234),
  ...mov("ecx", 0x80b),
  ...mov("eax", 0),
  ...mov("edx", 0),
  ...WRMSR,
  0xcf,
];

function image(): Uint8Array {
  const bytes = new Uint8Array(TEXT + 0x200 - CODE);
  bytes.set(code);
  bytes.set(handler, HANDLER - CODE);
  bytes.set(new TextEncoder().encode(MESSAGE), TEXT - CODE);
  bytes.set([0xff, 0x07, ...u32(IDT)], TEXT + 0x100 - CODE);
  bytes.set([0x17, 0x00, ...u32(TEXT + 0x110)], TEXT + 0x108 - CODE);
  // Null, flat code, flat data.
  bytes.set([0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0], TEXT + 0x118 - CODE);
  bytes.set([0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0], TEXT + 0x120 - CODE);
  return bytes;
}

const KERNEL = buildElf({
  bits: 32,
  segments: [
    { paddr: BigInt(CODE), bytes: image() },
    { type: 4, bytes: xenNotes([[18, BigInt(CODE)]]) },
  ],
});

/** Runs it to its end in slices; `checkpoints`: through a checkpoint after each. */
async function run(slice: number, checkpoints = false): Promise<Record<string, unknown>> {
  const store = new MapPageStore();
  let machine: MachineApi = await create(
    PARTS,
    { mode: "pvh", kernel: KERNEL, cmdline: "", memoryMiB: 8, seed: 1n, startTime: 0 },
    store,
  );
  let console = "";
  for (;;) {
    const end: SliceEnd = machine.run(slice);
    console += new TextDecoder().decode(machine.takeConsole());
    if (end.kind !== "budget") {
      const { instructions } = machine;
      return { end, console, instructions, hash: machine.stateHash(), totals: machine.statistics().totals };
    }
    if (checkpoints) machine = restore(PARTS, machine.checkpoint().state, store);
  }
}

describe.skipIf(!canIntercept())("a PVH guest (skipped if core.wasm cannot be intercepted)", () => {
  test("runs to its power-off", async () => {
    expect(await run(1e6)).toMatchObject({
      end: { kind: "shutdown", reason: "poweroff", code: 0 },
      console: MESSAGE,
      totals: { calls: 4, byPort: 2, byVmcall: 2, inEmu: 0, errors: 0 },
    });
  });

  test.each([1, 2, 3, 7, 19])("in slices of %d, and through checkpoints: the same run", async (slice) => {
    const expected = await run(1e6);
    expect(await run(slice)).toEqual(expected);
    expect(await run(slice, true)).toEqual(expected);
  });
});
