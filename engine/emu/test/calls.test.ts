/*
 * The statistics say what a hypercall costs in guest instructions. Here one hypercall of hello and one of hello32 is
 * stepped through on our core and counted from outside; emu must have counted the same, its own way in and out
 * included. If this fails after a change of the compiler or of the entry code, EDGE_INSTRUCTIONS in arch.h is
 * what has to follow.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Cpu } from "../../cpu/cpu.ts";
import type { CpuApi } from "../../cpu/types.ts";
import { guestFactory } from "../../guest.ts";
import { MapPageStore } from "../../memory/page-store.ts";

const root = join(import.meta.dirname, "../../..");
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
const SYSCALL_BYTES = 2;
/** mov $63, %eax; syscall */
const UNKNOWN_HYPERCALL = Buffer.from("b83f0000000f05", "hex");
/** int $0x82, first of all in hello32's function for any hypercall. */
const INT_82 = Buffer.from("cd82", "hex");
const XEN_VERSION = 17n;

const parts = {
  core: new NodeModule(readFileSync(join(root, "engine/cpu/core.wasm"))),
  emu64: readFileSync(join(root, "engine/emu/emu64.elf")),
  emu32pae: readFileSync(join(root, "engine/emu/emu32pae.elf")),
};
/** Of both guests: where the first segment lies in the file. */
const SEGMENT_OFFSET = 0x1000;

/** Steps to the hypercall instruction at `address` with this number in eax, and over it: how many instructions that took. */
async function costOf(kernel: Buffer, address: bigint, number: bigint) {
  let cpu: CpuApi | undefined;
  const { create } = guestFactory((options) => {
    cpu = Cpu.create(options);
    return cpu;
  });
  const machine = await create(
    parts,
    { kernel, cmdline: "", memoryMiB: 16, seed: 1n, startTime: 0 },
    new MapPageStore(),
  );
  const rip = () => cpu!.getRegister("rip");
  while (rip() !== address || cpu!.getRegister("rax") !== number) expect(machine.run(1).kind).toBe("budget");
  const before = machine.instructions;
  while (rip() !== address + BigInt(SYSCALL_BYTES)) expect(machine.run(1).kind).toBe("budget");
  // The hypercall instruction itself is the guest's.
  return { machine, spent: machine.instructions - before - 1 };
}

test("a hypercall costs what emu says it costs", async () => {
  const kernel = readFileSync(join(root, "r2-fixtures/hello/hello.elf"));
  const at = kernel.indexOf(UNKNOWN_HYPERCALL) + UNKNOWN_HYPERCALL.length - SYSCALL_BYTES;
  const { machine, spent } = await costOf(kernel, 0xffffffff80100000n + BigInt(at - SEGMENT_OFFSET), 63n);
  expect(machine.statistics().hypercalls.find(({ hypercall }) => hypercall === "unknown")).toEqual({
    hypercall: "unknown",
    subop: null,
    calls: 1,
    inEmu: 1,
    byPort: 0,
    errors: 1,
    instructions: spent,
  });
});

test("and so it does for 32 bits", async () => {
  const kernel = readFileSync(join(root, "r2-fixtures/hello32/hello32.elf"));
  const at = kernel.indexOf(INT_82);
  const { machine, spent } = await costOf(kernel, 0xc0100000n + BigInt(at - SEGMENT_OFFSET), XEN_VERSION);
  expect(machine.statistics().hypercalls.find(({ subop }) => subop === "XENVER_version")).toEqual({
    hypercall: "xen_version",
    subop: "XENVER_version",
    calls: 1,
    inEmu: 1,
    byPort: 0,
    errors: 0,
    instructions: spent,
  });
});
