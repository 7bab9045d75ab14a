/**
 * `npm run bench [-- --json] [--quick] [--only PART,…]`: how fast the machine is, and how fast qemu is at the same work.
 *
 * Loops and boots take turns on all sides, so that a machine that is busy for a while slows all of them alike. Progress
 * goes to standard error. Exit status: 0 measured, 2 something could not be run, 64 wrong use.
 */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { describeLoops } from "../../engine/cpu/bench/loops.ts";
import { FixtureUnavailable, type PreparedFixture, prepareFixture } from "../../r2-fixtures/index.ts";
import { type BootMode, WorkerdBoots } from "./bench/boot-workerd.ts";
import { measureCheckpoints } from "./bench/checkpoints-workerd.ts";
import { LOOPS_BINARY, STUB } from "./bench/files.ts";
import { NodeLoops } from "./bench/loops-node.ts";
import { WorkerdLoops } from "./bench/loops-workerd.ts";
import { type BenchOptions, type Part, parseOptions, UsageError } from "./bench/options.ts";
import { bootInQemu, qemuVersion, timeLoopInQemu } from "./bench/qemu.ts";
import {
  BOOT_MODES,
  type BootSubject,
  type BootWork,
  formatReport,
  noSamples,
  type Report,
  type Samples,
  summarize,
} from "./bench/report.ts";

const EXIT_FAILED = 2;
const EXIT_USAGE = 64;
const BOOT_FIXTURE = "debian-cloud";
const BOOT_MARKER = "BOOT-OK";
/** In mode "hvm" and on qemu the kernel does the same work on the same kind of machine. */
const PC_CMDLINE = "console=ttyS0";
/** Calls of a loop in one run of qemu: enough that the clock's grain and the pipe's delay do not show. */
const QEMU_CALLS = 10;

function progress(line: string): void {
  console.error(line);
}

async function measureLoops(
  options: BenchOptions,
  parts: ReadonlySet<Part>,
  samples: Samples,
): Promise<void> {
  const loops = describeLoops();
  const loopsBinary = readFileSync(LOOPS_BINARY);
  const node = parts.has("loops-node") ? new NodeLoops(loopsBinary, loops) : undefined;
  const workerd = parts.has("loops-workerd") ? await WorkerdLoops.start() : undefined;
  try {
    for (const loop of loops) {
      // The first run of each is what the compilers learn from.
      node?.time(loop);
      await workerd?.time(loop);
      for (let run = 0; run < options.loopRuns; run++) {
        progress(`loop ${loop.name}, run ${run + 1} of ${options.loopRuns}`);
        const into = samples.loops[loop.name];
        if (node !== undefined) into.node.push(node.time(loop));
        if (workerd !== undefined) into.workerd.push(await workerd.time(loop));
        if (parts.has("loops-qemu")) {
          into.qemu.push(await timeLoopInQemu(loop, loopsBinary, STUB, QEMU_CALLS));
        }
      }
    }
  } finally {
    await workerd?.stop();
  }
}

async function bootFixture(): Promise<PreparedFixture | undefined> {
  try {
    return await prepareFixture(BOOT_FIXTURE, { log: progress });
  } catch (error) {
    if (!(error instanceof FixtureUnavailable)) throw error;
    progress(`no boot is measured: ${error.message}`);
    return undefined;
  }
}

async function measureBoot(
  options: BenchOptions,
  parts: ReadonlySet<Part>,
  samples: Samples,
): Promise<BootSubject | undefined> {
  const fixture = await bootFixture();
  if (fixture === undefined) return undefined;
  const server = parts.has("boot-workerd") ? await WorkerdBoots.start(progress) : undefined;
  const work: Partial<Record<BootMode["mode"], BootWork>> = {};
  try {
    for (let run = 0; run < options.bootRuns; run++) {
      progress(`boot, run ${run + 1} of ${options.bootRuns}`);
      for (const mode of server === undefined ? [] : BOOT_MODES) {
        const { seconds, cpuSeconds, ...done } = await server!.boot(
          fixture,
          mode === "hvm" ? { mode, cmdline: PC_CMDLINE } : { mode },
        );
        samples.boot[mode].push(seconds);
        if (cpuSeconds !== undefined) samples.bootCpu[mode].push(cpuSeconds);
        work[mode] ??= done;
        const { instructions } = work[mode];
        if (instructions !== done.instructions)
          throw new Error(`boots of the same job differ: ${instructions}, ${done.instructions} instructions`);
      }
      if (parts.has("boot-qemu") && fixture.initrdPath !== undefined) {
        const { kernelPath, initrdPath, memoryMiB } = fixture;
        const { seconds, cpuSeconds } = await bootInQemu(
          kernelPath,
          initrdPath,
          memoryMiB,
          BOOT_MARKER,
          PC_CMDLINE,
        );
        samples.boot.qemu.push(seconds);
        if (cpuSeconds !== undefined) samples.bootCpu.qemu.push(cpuSeconds);
      }
    }
  } finally {
    await server?.stop();
  }
  return { fixture: fixture.name, source: fixture.source, work };
}

async function bench(options: BenchOptions): Promise<Report> {
  const qemu = qemuVersion();
  const parts = new Set([...options.parts].filter((part) => qemu !== undefined || !part.endsWith("-qemu")));
  if (qemu === undefined) progress("qemu-system-x86_64 is not installed: nothing to compare with");
  const samples = noSamples();
  const wanted = [...parts];
  if (wanted.some((part) => part.startsWith("loops-"))) await measureLoops(options, parts, samples);
  const boot = wanted.some((part) => part.startsWith("boot-"))
    ? await measureBoot(options, parts, samples)
    : undefined;
  const subject = wanted.includes("checkpoint-workerd") ? await bootFixture() : undefined;
  const checkpoints =
    subject === undefined ? null : await measureCheckpoints(subject, options.bootRuns, progress);
  const machine = {
    processor: cpus()[0]?.model ?? "unknown processor",
    processors: availableParallelism(),
    node: process.versions.node,
    qemu: qemu ?? null,
  };
  return summarize(machine, describeLoops(), samples, boot, checkpoints);
}

try {
  const options = parseOptions(process.argv.slice(2));
  const report = await bench(options);
  console.log(options.json ? JSON.stringify(report, undefined, 2) : formatReport(report));
} catch (error) {
  if (error instanceof UsageError) {
    console.error(error.message);
    process.exitCode = EXIT_USAGE;
  } else {
    console.error(error);
    process.exitCode = EXIT_FAILED;
  }
}
