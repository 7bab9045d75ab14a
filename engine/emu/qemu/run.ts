/**
 * Boots a guest on emu under qemu (TCG), without our core and without xenner: what goes wrong here is emu's fault.
 *
 *   node engine/emu/qemu/run.ts KERNEL [--initrd FILE] [--cmdline TEXT] [--memory MIB] [--statistics]
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadKernel } from "../../loader/kernel.ts";
import { sourceOf } from "../../loader/source.ts";
import type { HypercallStatistics } from "../../machine-api.ts";
import { STATISTICS } from "../../xenner/abi.ts";
import { buildDomain } from "../../xenner/domain-builder.ts";
import { placeEmu } from "../../xenner/emu-image.ts";
import { planLayout } from "../../xenner/layout.ts";
import { decodeStatistics } from "../../xenner/statistics.ts";
import { ArrayMemory } from "../../xenner/testing/memory.ts";
import { compileEmu, compileStub } from "./compile.ts";

const MIB = 1024 * 1024;
/** Where stub.S is linked; its L3 lies two pages behind, its parameters behind the multiboot header. */
const STUB_ADDRESS = 0x30000000;
const STUB_L3 = STUB_ADDRESS + 0x2000;
const STUB_PARAMETERS = 64;
const STUB_L4_SLOT = 257;
/** qemu loads the guest's memory from here on; what is below belongs to its firmware until the guest starts. */
const LOAD_FROM = 1 * MIB;

export interface QemuGuest {
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly cmdline: string;
  readonly memoryMiB: number;
  readonly timeoutSeconds: number;
  /** Also show output as it comes. */
  readonly verbose?: boolean;
}

export interface QemuResult {
  readonly console: string;
  /** SHUTDOWN_* of the guest, 0x10 after a panic of emu, undefined if qemu was stopped. */
  readonly shutdown: number | undefined;
  readonly statistics: HypercallStatistics | undefined;
}

/** True if qemu can be run here. */
export function haveQemu(): boolean {
  return spawnSync("qemu-system-x86_64", ["--version"]).status === 0;
}

/** @throws BuildError if the compiler is missing, LoadError for a bad kernel. */
export async function runOnQemu(guest: QemuGuest): Promise<QemuResult> {
  const directory = mkdtempSync(join(tmpdir(), "emu-qemu-"));
  try {
    const path = (name: string) => join(directory, name);
    compileEmu(path("emu.elf"));
    compileStub(path("stub.bin"), STUB_ADDRESS);

    const ramPages = (guest.memoryMiB * MIB) / 4096;
    const emu = placeEmu(readFileSync(path("emu.elf")), ramPages);
    const memory = new ArrayMemory(emu.region.machinePages);
    if (memory.bytes > STUB_ADDRESS) throw new RangeError("the guest is too large for this set-up");
    const kernel = await loadKernel(guest.kernel);
    const layout = planLayout(kernel, guest.initrd?.length ?? 0, ramPages);
    const entry = await buildDomain(memory, {
      kernel,
      layout,
      ...(guest.initrd && { initrd: sourceOf(guest.initrd) }),
      cmdline: new TextEncoder().encode(guest.cmdline),
      emu,
      startTime: 1_700_000_000,
      uuid: new Uint8Array(16),
    });
    memory.writeU64(entry.cr3 + STUB_L4_SLOT * 8, BigInt(STUB_L3 | 3));
    writeFileSync(path("memory.bin"), memory.read(LOAD_FROM, memory.bytes - LOAD_FROM));

    const stub = readFileSync(path("stub.bin"));
    stub.writeBigUInt64LE(BigInt(entry.cr3), STUB_PARAMETERS);
    stub.writeBigUInt64LE(entry.rip, STUB_PARAMETERS + 8);
    stub.writeBigUInt64LE(entry.rdi, STUB_PARAMETERS + 16);
    writeFileSync(path("stub.bin"), stub);

    const qemu = spawnSync(
      "qemu-system-x86_64",
      [
        ...["-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu", "qemu64", "-m", "1024"],
        ...["-nodefaults", "-display", "none", "-no-reboot", "-kernel", path("stub.bin")],
        ...["-device", `loader,file=${path("memory.bin")},addr=${LOAD_FROM},force-raw=on`],
        ...["-chardev", guest.verbose ? "stdio,id=console" : `file,id=console,path=${path("console")}`],
        ...["-device", "isa-debugcon,iobase=0xe9,chardev=console"],
        ...["-chardev", `file,id=statistics,path=${path("statistics")}`],
        ...["-device", "isa-debugcon,iobase=0xea,chardev=statistics"],
        ...["-device", "isa-debug-exit,iobase=0x501,iosize=4"],
      ],
      { timeout: guest.timeoutSeconds * 1000, stdio: "inherit" },
    );
    const statistics = readFileSync(path("statistics"));
    return {
      console: guest.verbose ? "" : readFileSync(path("console"), "utf8"),
      // isa-debug-exit leaves with 2 * value + 1.
      shutdown: qemu.status === null ? undefined : qemu.status >> 1,
      statistics: statistics.length === STATISTICS.bytes ? decodeStatistics(statistics) : undefined,
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      initrd: { type: "string" },
      cmdline: { type: "string", default: "" },
      memory: { type: "string", default: "64" },
      timeout: { type: "string", default: "120" },
      statistics: { type: "boolean", default: false },
    },
  });
  const result = await runOnQemu({
    kernel: readFileSync(positionals[0]!),
    ...(values.initrd !== undefined && { initrd: readFileSync(values.initrd) }),
    cmdline: values.cmdline,
    memoryMiB: Number(values.memory),
    timeoutSeconds: Number(values.timeout),
    verbose: true,
  });
  console.log(`shutdown: ${result.shutdown}`);
  if (values.statistics && result.statistics) {
    console.table(result.statistics.hypercalls);
    console.log(result.statistics.totals, result.statistics.traps);
    console.log({ upcalls: result.statistics.upcalls, cr3Switches: result.statistics.cr3Switches });
  }
}
