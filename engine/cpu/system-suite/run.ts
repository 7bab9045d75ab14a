/**
 * Runs an image on our core. As a command it prints what the image tells, or with --diff where that differs from the
 * recording: `node engine/cpu/system-suite/run.ts [--diff] NAME ...`.
 */
import { readFileSync } from "node:fs";
import type { Cpu } from "../cpu.ts";
import { createCpu } from "../door/create-cpu.ts";
import { corrected } from "./corrections.ts";
import {
  CONSOLE_PORT,
  EXIT_PORT,
  imageNames,
  imagePath,
  LOAD_ADDRESS,
  MEMORY_MIB,
  recordedPath,
} from "./suite.ts";

/** More than any image needs; one that runs away ends here. */
const MAX_INSTRUCTIONS = 20_000_000;
const EFER_LMA = 0x400n;
/** L and D/B of a segment's attributes (bits 53 and 54 of the descriptor). */
const ATTRIBUTE_L = 0x2000;
const ATTRIBUTE_DB = 0x4000;
/** Offset of e_entry in an ELF64 header. */
const ENTRY_OFFSET = 24;

/** A machine about to run the image: 32-bit protected mode, flat segments, interrupts off. */
function machineWith(name: string): Cpu {
  const image = readFileSync(imagePath(name));
  const cpu = createCpu({ pages: MEMORY_MIB * 256 });
  cpu.memory.write(LOAD_ADDRESS, image);
  cpu.enterProtectedMode();
  cpu.setRegister("rip", image.readBigUInt64LE(ENTRY_OFFSET));
  return cpu;
}

/** What the image tells on our core; "shutdown" is added after a triple fault, "limit" if it never ends. */
export function runOnCore(name: string): string {
  const cpu = machineWith(name);
  const told: number[] = [];
  const text = (end: string) => Buffer.from(told).toString("latin1") + end;
  for (;;) {
    const exit = cpu.run(MAX_INSTRUCTIONS);
    if (exit.kind === "out" && exit.port === CONSOLE_PORT) told.push(exit.value & 0xff);
    else if (exit.kind === "out" && exit.port === EXIT_PORT) return text("");
    else if (exit.kind === "in") cpu.completeIn(0xffffffff);
    else if (exit.kind === "shutdown") return text("shutdown\n");
    else if (exit.kind !== "out") return text(`${exit.kind}\n`);
  }
}

/** The code bytes at CS:RIP before each instruction of the image, where they lie in mapped-to-itself memory. */
export function* traceOnCore(
  name: string,
  bytes: number,
): Generator<{ readonly bytes: Uint8Array; readonly mode: 16 | 32 | 64 }> {
  const cpu = machineWith(name);
  for (;;) {
    const cs = cpu.getSegment(1);
    const long = (cpu.getControl("efer") & EFER_LMA) !== 0n && (cs.attributes & ATTRIBUTE_L) !== 0;
    const at = Number(cpu.getRegister("rip") + (long ? 0n : cs.base));
    if (at + bytes <= cpu.memory.bytes) {
      yield {
        bytes: cpu.memory.read(at, bytes),
        mode: long ? 64 : cs.attributes & ATTRIBUTE_DB ? 32 : 16,
      };
    }
    const exit = cpu.run(cpu.instructions + 1);
    if (exit.kind === "in") cpu.completeIn(0xffffffff);
    else if (exit.kind === "out" && exit.port === EXIT_PORT) return;
    else if (exit.kind === "shutdown" || cpu.instructions >= MAX_INSTRUCTIONS) return;
  }
}

function difference(name: string): string {
  const got = runOnCore(name).split("\n");
  const recorded = readFileSync(recordedPath(name), "utf8").split("\n");
  let out = "";
  let title = "";
  for (let i = 0; i < Math.max(got.length, recorded.length); i++) {
    if (recorded[i]?.startsWith("# ")) title = recorded[i]!;
    const want = corrected(name, recorded[i]?.trim() ?? "").line;
    if ((got[i]?.trim() ?? "") !== want)
      out += `${name} ${title}\n  want ${want}\n  core ${got[i]?.trim()}\n`;
  }
  return out;
}

if (process.argv[1] === import.meta.filename) {
  const args = process.argv.slice(2);
  const named = args.filter((a) => !a.startsWith("--"));
  for (const name of named.length > 0 ? named : imageNames())
    process.stdout.write(args.includes("--diff") ? difference(name) : runOnCore(name));
}
