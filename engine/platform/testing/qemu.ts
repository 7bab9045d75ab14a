/**
 * What pc-guest.elf tells on qemu's PC: `node engine/platform/testing/qemu.ts` writes it to pc-guest.txt, which is committed.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export const PC_GUEST_PATH = join(import.meta.dirname, "pc-guest.elf");
export const RECORDED_PATH = join(import.meta.dirname, "pc-guest.txt");
const QEMU = "qemu-system-x86_64";
const TIMEOUT_MS = 60_000;

/** The guest's output, or undefined where qemu is not installed. */
export function runOnQemu(): string | undefined {
  const { error, status, stdout, stderr } = spawnSync(
    QEMU,
    [
      // Its clock counts instructions, too: how fast the machine is does not show.
      ...[
        "-accel",
        "tcg",
        "-icount",
        "shift=0,sleep=off",
        "-machine",
        "pc",
        "-m",
        "64",
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-rtc",
        "clock=vm",
      ],
      ...["-serial", "null", "-chardev", "stdio,id=out", "-device", "isa-debugcon,iobase=0xe9,chardev=out"],
      ...["-kernel", PC_GUEST_PATH],
    ],
    { encoding: "utf8", input: "", timeout: TIMEOUT_MS },
  );
  if (error !== undefined && "code" in error && error.code === "ENOENT") return undefined;
  if (error !== undefined || status !== 0) throw error ?? new Error(`qemu ended with ${status}: ${stderr}`);
  return stdout;
}

if (process.argv[1] === import.meta.filename) {
  const told = runOnQemu();
  if (told === undefined) throw new Error(`${QEMU} is missing`);
  writeFileSync(RECORDED_PATH, told);
}
