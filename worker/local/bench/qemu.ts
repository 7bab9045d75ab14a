/** The same work on qemu-system-x86_64 with its own translator (TCG), for comparison. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildImage } from "../../../engine/cpu/bench/image.ts";
import { IMAGE_BASE, MEMORY_BYTES } from "../../../engine/cpu/bench/layout.ts";
import type { Loop } from "../../../engine/cpu/bench/loops.ts";
import { processSeconds } from "./cpu-time.ts";

const QEMU = "qemu-system-x86_64";
const REPORT_BYTES = 8;
/** isa-debug-exit turns the value v that is written to it into the exit status 2v+1. */
const EXIT_STATUS_OF_ZERO = 1;
const LOOP_TIMEOUT_MS = 120_000;
const BOOT_TIMEOUT_MS = 300_000;

/** "QEMU emulator version 7.2.22 (…)", or undefined where qemu is not installed. */
export function qemuVersion(): string | undefined {
  const { error, status, stdout } = spawnSync(QEMU, ["--version"], { encoding: "utf8" });
  return error !== undefined || status !== 0 ? undefined : stdout.split("\n")[0];
}

interface Run {
  readonly status: number | null;
  readonly stderr: string;
}

function runQemu(
  args: readonly string[],
  timeoutMs: number,
  onOutput: (bytes: Uint8Array, pid: number | undefined) => void,
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(QEMU, args, { stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    let stderr = "";
    child.stdout.on("data", (bytes: Uint8Array) => onOutput(bytes, child.pid));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, stderr });
    });
  });
}

/**
 * Seconds that one call of a loop takes under TCG.
 *
 * The stub calls the loop `calls` + 1 times and reports after each; the time from the first report to the last holds
 * neither qemu's start nor the translation of the loop.
 */
export async function timeLoopInQemu(
  loop: Loop,
  loopsBinary: Uint8Array,
  stubPath: string,
  calls: number,
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "bench-qemu-"));
  try {
    const imagePath = join(folder, "image.bin");
    writeFileSync(imagePath, buildImage(loopsBinary, loop, calls + 1));
    const reports: number[] = [];
    let first = 0;
    let last = 0;
    const { status, stderr } = await runQemu(
      [
        ...["-accel", "tcg", "-m", String(MEMORY_BYTES / 1024 / 1024), "-nodefaults", "-display", "none"],
        ...["-no-reboot", "-kernel", stubPath],
        ...["-device", `loader,file=${imagePath},addr=${IMAGE_BASE},force-raw=on`],
        ...["-chardev", "stdio,id=report,signal=off", "-device", "isa-debugcon,iobase=0xe9,chardev=report"],
        ...["-device", "isa-debug-exit,iobase=0xf4,iosize=1"],
      ],
      LOOP_TIMEOUT_MS,
      (bytes) => {
        const now = performance.now();
        if (reports.length < REPORT_BYTES) first = now;
        last = now;
        reports.push(...bytes);
      },
    );
    if (status !== EXIT_STATUS_OF_ZERO || reports.length !== (calls + 1) * REPORT_BYTES) {
      throw new Error(
        `qemu, loop ${loop.name}: status ${status}, ${reports.length} bytes of results; ${stderr}`,
      );
    }
    const results = new BigUint64Array(new Uint8Array(reports).buffer);
    const wrong = results.find((result) => result !== loop.result);
    if (wrong !== undefined)
      throw new Error(`qemu, loop ${loop.name}: RAX is ${wrong}, must be ${loop.result}`);
    return (last - first) / 1000 / calls;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface QemuBoot {
  /** From the start of the qemu process to the first sight of `marker`. */
  readonly seconds: number;
  /** Of the processor's time, where that can be told. */
  readonly cpuSeconds: number | undefined;
  readonly console: string;
}

/** Boots a kernel as an HVM guest under TCG and waits for `marker` on its serial console. */
export async function bootInQemu(
  kernelPath: string,
  initrdPath: string,
  memoryMiB: number,
  marker: string,
  cmdline: string,
): Promise<QemuBoot> {
  const start = performance.now();
  let seen: number | undefined;
  let cpuSeconds: number | undefined;
  let console = "";
  const decoder = new TextDecoder();
  const { status, stderr } = await runQemu(
    [
      ...["-accel", "tcg", "-m", String(memoryMiB), "-nographic", "-no-reboot"],
      ...["-kernel", kernelPath, "-initrd", initrdPath, "-append", cmdline],
    ],
    BOOT_TIMEOUT_MS,
    (bytes, pid) => {
      console += decoder.decode(bytes, { stream: true });
      if (seen !== undefined || !console.includes(marker)) return;
      seen = performance.now();
      cpuSeconds = processSeconds(pid);
    },
  );
  if (seen === undefined) {
    throw new Error(`qemu: no ${marker} (status ${status}); ${stderr}\n${console.slice(-2000)}`);
  }
  return { seconds: (seen - start) / 1000, cpuSeconds, console };
}
