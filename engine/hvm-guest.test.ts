/*
 * Mode "hvm" by a guest of our own that is entered by Linux's boot protocol and tells what it finds of a PC: the 8259s, the
 * 8254, the 16550A, the local APIC's registers in memory, its timer and its interrupts, the I/O APIC with edges and levels,
 * clock and PCI. The same file runs on qemu's PC; both must tell the same. The run is the same in slices of any size and
 * through checkpoints.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { BuildError, check, toolchainVersion } from "./emu/toolchain.ts";
import { buildElf } from "./loader/testing/build-elf.ts";
import { create, restore } from "./machine.ts";
import type { MachineApi, SliceEnd } from "./machine-api.ts";
import { MapPageStore } from "./memory/page-store.ts";
import { PC_GUEST } from "./platform/testing/build.ts";
import { PC_GUEST_PATH, RECORDED_PATH, runOnQemu } from "./platform/testing/qemu.ts";
import { PARTS, readBytes } from "./testing/parts.ts";

const RECORDED = readFileSync(RECORDED_PATH, "utf8");

/** Runs it to its end in slices; `checkpoints`: through a checkpoint after each. */
async function run(slice: number, checkpoints = false): Promise<Record<string, unknown>> {
  const store = new MapPageStore();
  let machine: MachineApi = await create(
    PARTS,
    {
      mode: "hvm",
      kernel: readBytes(PC_GUEST_PATH),
      cmdline: "",
      memoryMiB: 8,
      seed: 1n,
      startTime: 1_750_000_000,
    },
    store,
  );
  let console = "";
  for (;;) {
    const end: SliceEnd = machine.run(slice);
    console += new TextDecoder().decode(machine.takeConsole());
    if (end.kind !== "budget") {
      const { instructions, guestNanoseconds } = machine;
      return { end, console, instructions, guestNanoseconds, hash: machine.stateHash() };
    }
    if (checkpoints) machine = restore(PARTS, machine.checkpoint().state, store);
  }
}

describe("a PC", () => {
  test("is as qemu's, line for line", async () => {
    expect(await run(1e9)).toMatchObject({
      end: { kind: "shutdown", reason: "poweroff", code: 0 },
      console: RECORDED,
    });
    expect(RECORDED.split("\n").length).toBeGreaterThan(70);
  });

  test("what is recorded is what qemu tells (skipped without qemu)", ({ skip }) => {
    const told = runOnQemu();
    if (told === undefined && process.env.CI !== "true") skip("qemu-system-x86_64 is not installed");
    expect(told).toBe(RECORDED);
  });

  test("in slices, and through checkpoints: the same run", { timeout: 120_000 }, async () => {
    const expected = await run(1e9);
    expect(await run(997)).toEqual(expected);
    expect(await run(151_111, true)).toEqual(expected);
  });

  test("HLT with interrupts disabled powers off, as in Xen", async () => {
    const kernel = buildElf({
      bits: 32,
      entry: 0x100000n,
      segments: [{ paddr: 0x100000n, bytes: Uint8Array.of(0xfa, 0xf4) }],
    });
    const config = { mode: "hvm", kernel, cmdline: "", memoryMiB: 8, seed: 1n, startTime: 0 } as const;
    const machine = await create(PARTS, config, new MapPageStore());
    expect(machine.run(1000)).toEqual({ kind: "shutdown", reason: "poweroff", code: 0 });
    expect(machine.instructions).toBe(2);
  });

  test("the guest is built from its source (skipped with another compiler)", ({ skip }) => {
    const recorded = readFileSync(`${PC_GUEST_PATH}.toolchain`, "utf8").trim();
    try {
      if (toolchainVersion() !== recorded) skip(`built with ${recorded}`);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      skip(error.message);
    }
    check(PC_GUEST);
  });
});
