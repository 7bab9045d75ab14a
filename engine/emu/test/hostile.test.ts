/*
 * A guest that tries to break out (hostile.c) runs on our core, with several seeds. Now and then it is stopped in its
 * own code, and machine memory is searched for anything that breaks emu's rules: a page table it could write, a
 * descriptor that gives it a ring, a count that is wrong. The guest may crash; emu may not.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Cpu } from "../../cpu/cpu.ts";
import type { CpuApi } from "../../cpu/types.ts";
import { guestFactory } from "../../guest.ts";
import { MapPageStore } from "../../memory/page-store.ts";
import { emuRegion } from "../../xenner/abi.ts";
import { placeEmu } from "../../xenner/emu-image.ts";
import { brokenRules } from "./rules.ts";

const MEMORY_MIB = 8;
const RAM_PAGES = (MEMORY_MIB * 1024 * 1024) / 4096;
const CHECKS = Number(process.env.HOSTILE_CHECKS ?? 25);
const BETWEEN_CHECKS = 300_000;
const SEEDS = (process.env.HOSTILE_SEEDS ?? "a b c d e f").split(" ");

const root = join(import.meta.dirname, "../../..");
/** By word size: the guest, and where emu is. */
const WORLDS = [
  {
    bits: 64,
    source: "hostile.S",
    flags: ["-mcmodel=kernel", "-mno-red-zone"],
    script: "hello/hello.lds",
    emu: "emu64.elf",
    hypervisor: [0xffff800000000000n, 0xffff880000000000n],
  },
  {
    bits: 32,
    source: "hostile32.S",
    flags: ["-m32"],
    script: "hello32/hello32.lds",
    emu: "emu32pae.elf",
    hypervisor: [0xf5800000n, 0x100000000n],
  },
] as const;

const possible = existsSync("/usr/include/xen/xen.h") && spawnSync("gcc", ["--version"]).status === 0;

// The Workers types know only compiled modules; in Node a module can be made from bytes.
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;

function buildGuest({ source, flags: own, script }: (typeof WORLDS)[number]): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), "hostile-"));
  try {
    const output = join(directory, "hostile.elf");
    const flags = [
      ...own,
      ..."-std=gnu11 -O1 -ffreestanding -fno-pic -mgeneral-regs-only".split(" "),
      ..."-fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none".split(" "),
      ..."-fno-tree-loop-distribute-patterns -Wall -Wextra -Werror -nostdlib -static -no-pie".split(" "),
      `-Wl,-T,${join(root, "r2-fixtures", script)},--build-id=none,--no-warn-rwx-segments`,
    ];
    const sources = [source, "hostile.c"];
    execFileSync("gcc", [...flags, "-o", output, ...sources], { cwd: import.meta.dirname, stdio: "inherit" });
    return readFileSync(output);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe.skipIf(!possible).each(WORLDS)("a hostile guest of $bits bits", (world) => {
  const kernel = possible ? buildGuest(world) : new Uint8Array();
  const core = new NodeModule(readFileSync(join(root, "engine/cpu/core.wasm")));
  const emu64 = readFileSync(join(root, "engine/emu/emu64.elf"));
  const emu32pae = readFileSync(join(root, "engine/emu/emu32pae.elf"));
  const { bootInfo, slot256, pae, wordBytes } = placeEmu(
    readFileSync(join(root, "engine/emu", world.emu)),
    RAM_PAGES,
  );

  test.each(SEEDS)("seed %s breaks no rule", { timeout: 300_000 }, async (seed) => {
    let cpu: CpuApi | undefined;
    const { create } = guestFactory((options) => {
      cpu = Cpu.create(options);
      return cpu;
    });
    const config = { kernel, cmdline: seed, memoryMiB: MEMORY_MIB, seed: 1n, startTime: 0 };
    const machine = await create({ core, emu64, emu32pae }, config, new MapPageStore());
    const inEmu = () => {
      const rip = cpu!.getRegister("rip");
      return rip >= world.hypervisor[0] && rip < world.hypervisor[1];
    };
    for (let check = 0; check < CHECKS; check++) {
      let end = machine.run(BETWEEN_CHECKS);
      while (end.kind === "budget" && inEmu()) end = machine.run(1);
      if (end.kind !== "budget") {
        // Its own fault, never a fault of emu's.
        expect(end).toMatchObject({ kind: "crash", message: expect.stringMatching(/^emu: guest: /) });
        break;
      }
      const rules = {
        memory: cpu!.memory,
        region: emuRegion(RAM_PAGES, wordBytes),
        ramPages: RAM_PAGES,
        descriptorL1: Number(bootInfo.descriptorL1),
        slot256,
        ...(pae !== undefined && { pae: pae.entries }),
      };
      expect(brokenRules(rules)).toEqual([]);
    }
    const { hypercalls } = machine.statistics();
    const calls = (name: string) => hypercalls.filter(({ hypercall }) => hypercall === name);
    const sum = (name: string, of: "calls" | "errors") =>
      calls(name).reduce((total, count) => total + count[of], 0);
    // The attempts were of both kinds: some things it may do, some it may not.
    expect(sum("mmuext_op", "calls")).toBeGreaterThan(sum("mmuext_op", "errors"));
    expect(sum("mmuext_op", "errors")).toBeGreaterThan(0);
  });
});
