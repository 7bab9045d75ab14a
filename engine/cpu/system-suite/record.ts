/**
 * Runs the images on qemu-system-x86_64 and keeps what they tell:
 * `node engine/cpu/system-suite/record.ts [--check] [NAME ...]`.
 *
 * The recordings are committed. With --check nothing is written and a difference is told. Exit status: 0 done or equal,
 * 1 different. qemu interprets here (TCG): its processor is the same on every machine.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import {
  CONSOLE_PORT,
  EXIT_PORT,
  imageNames,
  imagePath,
  isByManual,
  MEMORY_MIB,
  recordedPath,
} from "./suite.ts";

/** A processor of Intel's with what our core offers: NX, 1 GiB pages, 40 physical address bits; no SMEP, SMAP, PCID. */
const CPU = "Nehalem,vendor=GenuineIntel,+pdpe1gb,+syscall,+nx,+sep,+rdtscp,+rdrand,+rdseed,phys-bits=40";
const STOPPED = (0x10 << 1) | 1;
const TIMEOUT_MS = 20_000;

/** What the image tells on qemu. A line "shutdown" is added if it ended in a triple fault. */
export function runOnQemu(name: string): string {
  const result = spawnSync(
    "qemu-system-x86_64",
    [
      ...[
        "-accel",
        "tcg",
        "-cpu",
        CPU,
        "-m",
        `${MEMORY_MIB}M`,
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
      ],
      ...["-chardev", "stdio,id=out", "-device", `isa-debugcon,iobase=${CONSOLE_PORT},chardev=out`],
      ...["-device", `isa-debug-exit,iobase=${EXIT_PORT},iosize=1`, "-kernel", imagePath(name)],
    ],
    { timeout: TIMEOUT_MS, encoding: "utf8", input: "" },
  );
  if (result.error !== undefined) throw new Error(`${name}: ${result.error.message}\n${result.stdout}`);
  // isa-debug-exit ends with (value << 1) | 1, the value being STOP's; a triple fault is a reset, which -no-reboot turns into status 0.
  if (result.status === 0) return `${result.stdout}shutdown\n`;
  if (result.status !== STOPPED)
    throw new Error(`${name}: qemu ended with ${result.status}\n${result.stderr}`);
  return result.stdout;
}

function main(args: readonly string[]): number {
  const check = args.includes("--check");
  const named = args.filter((a) => !a.startsWith("--"));
  let different = 0;
  for (const name of named.length > 0 ? named : imageNames().filter((n) => !isByManual(n))) {
    const text = runOnQemu(name);
    if (check) {
      if (text === readFileSync(recordedPath(name), "utf8")) continue;
      process.stdout.write(`${name}: qemu tells something else than is recorded\n`);
      different++;
    } else {
      mkdirSync(dirname(recordedPath(name)), { recursive: true });
      writeFileSync(recordedPath(name), text);
      process.stdout.write(`${name}: ${text.split("\n").length - 1} lines\n`);
    }
  }
  return different > 0 ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) process.exitCode = main(process.argv.slice(2));
