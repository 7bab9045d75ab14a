/*
 * The statistics say what a hypercall costs in guest instructions. Here one hypercall of hello, the unknown one, is
 * stepped through on our core and counted from outside; emu must have counted the same, its own way in and out
 * included. If this fails after a change of the compiler or of the entry code, EDGE_INSTRUCTIONS in statistics.c is
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

test("a hypercall costs what emu says it costs", async () => {
  const kernel = readFileSync(join(root, "r2-fixtures/hello/hello.elf"));
  const segmentOffset = 0x1000;
  const at = kernel.indexOf(UNKNOWN_HYPERCALL) + UNKNOWN_HYPERCALL.length - SYSCALL_BYTES;
  const syscall = 0xffffffff80100000n + BigInt(at - segmentOffset);
  let cpu: CpuApi | undefined;
  const { create } = guestFactory((options) => {
    cpu = Cpu.create(options);
    return cpu;
  });
  const machine = await create(
    {
      core: new NodeModule(readFileSync(join(root, "engine/cpu/core.wasm"))),
      emu64: readFileSync(join(root, "engine/emu/emu64.elf")),
    },
    { kernel, cmdline: "", memoryMiB: 16, seed: 1n, startTime: 0 },
    new MapPageStore(),
  );
  const rip = () => cpu!.getRegister("rip");
  while (rip() !== syscall) expect(machine.run(1).kind).toBe("budget");
  const before = machine.instructions;
  while (rip() !== syscall + BigInt(SYSCALL_BYTES)) expect(machine.run(1).kind).toBe("budget");
  const spent = machine.instructions - before - 1; // SYSCALL itself is the guest's
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
