import type { Loop, LoopName } from "../../../engine/cpu/bench/loops.ts";
import { LOOP_NAMES } from "../../../engine/cpu/bench/loops.ts";
import type { GuestMode, HypercallStatistics } from "../../../engine/machine-api.ts";
import type { FixtureSource } from "../../../r2-fixtures/index.ts";
import type { CheckpointFigures } from "./checkpoints-workerd.ts";
import { geometricMean, median } from "./statistics.ts";

export const LOOP_PLACES = ["node", "workerd", "qemu"] as const;
export type LoopPlace = (typeof LOOP_PLACES)[number];

export const BOOT_MODES = ["pv", "pvh", "hvm"] as const satisfies readonly GuestMode[];
/** Places where a kernel is booted: our worker, in each mode, and qemu. */
export type BootPlace = GuestMode | "qemu";

/** Seconds of each timed run, in the order they were made. */
export interface Samples {
  readonly loops: Record<LoopName, Record<LoopPlace, number[]>>;
  readonly boot: Record<BootPlace, number[]>;
  /** The same in processor time, where it can be told. */
  readonly bootCpu: Record<BootPlace, number[]>;
}

export function noSamples(): Samples {
  const places = (): Record<LoopPlace, number[]> => ({ node: [], workerd: [], qemu: [] });
  return {
    loops: Object.fromEntries(LOOP_NAMES.map((name) => [name, places()])) as Samples["loops"],
    boot: { pv: [], pvh: [], hvm: [], qemu: [] },
    bootCpu: { pv: [], pvh: [], hvm: [], qemu: [] },
  };
}

export interface Speed {
  readonly seconds: number;
  /** Million guest instructions a second. */
  readonly mips: number;
}

export interface Report {
  readonly machine: {
    readonly processor: string;
    readonly processors: number;
    readonly node: string;
    readonly qemu: string | null;
  };
  readonly loops: Record<LoopName, { readonly instructions: number } & Record<LoopPlace, Speed | null>>;
  readonly boot: {
    readonly fixture: string;
    readonly source: FixtureSource;
    /** POST to verdict, in the worker. */
    readonly modes: Record<GuestMode, (Speed & BootWork & Cpu) | null>;
    /** Start of qemu to BOOT-OK; the guest sleeps one second of it, which costs ours nothing. */
    readonly qemu: ({ readonly seconds: number } & Cpu) | null;
  } | null;
  readonly checkpoints: CheckpointFigures | null;
  readonly ratios: {
    /** Geometric mean over the loops of our MIPS in workerd over qemu's. */
    readonly loopsVsQemu: number | null;
    readonly loopsNodeVsQemu: number | null;
    readonly loopsWorkerdVsNode: number | null;
    /** Our seconds in workerd over qemu's: in mode "pv", and in mode "hvm", which is the same work with the same devices. */
    readonly bootVsQemu: number | null;
    readonly hvmVsQemu: number | null;
    /** The same in processor time, which other work on the machine changes less. */
    readonly hvmVsQemuCpu: number | null;
  };
  readonly samples: Samples;
}

function speed(seconds: readonly number[], instructions: number): Speed | null {
  if (seconds.length === 0) return null;
  const middle = median(seconds);
  return { seconds: middle, mips: instructions / middle / 1e6 };
}

/** What a boot of ours was, whatever time it took. */
export interface BootWork {
  readonly instructions: number;
  readonly hypercalls: HypercallStatistics["totals"];
}

interface Cpu {
  /** Processor time; null where it cannot be told. */
  readonly cpuSeconds: number | null;
}

export interface BootSubject {
  readonly fixture: string;
  readonly source: FixtureSource;
  /** Our boots; none of a mode that was not measured. */
  readonly work: Partial<Record<GuestMode, BootWork>>;
}

/** Medians and ratios of what was measured; null for what was not. */
export function summarize(
  machine: Report["machine"],
  loops: readonly Loop[],
  samples: Samples,
  boot: BootSubject | undefined,
  checkpoints: CheckpointFigures | null = null,
): Report {
  const loopSpeeds = Object.fromEntries(
    loops.map(({ name, instructions }) => {
      const { node, workerd, qemu } = samples.loops[name];
      return [
        name,
        {
          instructions,
          node: speed(node, instructions),
          workerd: speed(workerd, instructions),
          qemu: speed(qemu, instructions),
        },
      ];
    }),
  ) as Report["loops"];
  const ratio = (ours: LoopPlace, theirs: LoopPlace): number | null => {
    const each = LOOP_NAMES.flatMap((name) => {
      const [a, b] = [loopSpeeds[name][ours], loopSpeeds[name][theirs]];
      return a === null || b === null ? [] : [a.mips / b.mips];
    });
    return each.length === LOOP_NAMES.length ? geometricMean(each) : null;
  };
  const cpuOf = (place: BootPlace): Cpu => {
    const measured = samples.bootCpu[place];
    return { cpuSeconds: measured.length === 0 ? null : median(measured) };
  };
  const bootOf = (mode: GuestMode): (Speed & BootWork & Cpu) | null => {
    const work = boot?.work[mode];
    const measured = work === undefined ? null : speed(samples.boot[mode], work.instructions);
    return work === undefined || measured === null ? null : { ...measured, ...work, ...cpuOf(mode) };
  };
  const modes = { pv: bootOf("pv"), pvh: bootOf("pvh"), hvm: bootOf("hvm") };
  const qemuBoot =
    samples.boot.qemu.length > 0 ? { seconds: median(samples.boot.qemu), ...cpuOf("qemu") } : null;
  return {
    machine,
    loops: loopSpeeds,
    boot:
      boot === undefined
        ? null
        : {
            fixture: boot.fixture,
            source: boot.source,
            modes,
            qemu: qemuBoot,
          },
    checkpoints,
    ratios: {
      loopsVsQemu: ratio("workerd", "qemu"),
      loopsNodeVsQemu: ratio("node", "qemu"),
      loopsWorkerdVsNode: ratio("workerd", "node"),
      bootVsQemu: quotient(modes.pv?.seconds, qemuBoot?.seconds),
      hvmVsQemuCpu: quotient(modes.hvm?.cpuSeconds, qemuBoot?.cpuSeconds),
      hvmVsQemu: quotient(modes.hvm?.seconds, qemuBoot?.seconds),
    },
    samples,
  };
}

function quotient(a: number | null | undefined, b: number | null | undefined): number | null {
  return a == null || b == null ? null : a / b;
}

const COLUMN = 15;

function row(first: string, cells: readonly string[]): string {
  return first.padEnd(COLUMN) + cells.map((cell) => cell.padStart(COLUMN)).join("");
}

function shown(value: number | null | undefined, digits: number, unit = ""): string {
  return value === null || value === undefined ? "-" : `${value.toFixed(digits)}${unit}`;
}

/** The report as lines for people. */
export function formatReport(report: Report): string {
  const { machine, ratios, boot } = report;
  const lines = [
    `${machine.processor} (${machine.processors}), Node ${machine.node}, ${machine.qemu ?? "no qemu"}`,
    "",
    row("guest MIPS", ["Node", "workerd", "qemu TCG", "workerd/qemu"]),
  ];
  for (const name of LOOP_NAMES) {
    const { node, workerd, qemu } = report.loops[name];
    const ratio = workerd === null || qemu === null ? null : workerd.mips / qemu.mips;
    const mips = [node, workerd, qemu].map((place) => shown(place?.mips, 0));
    lines.push(row(name, [...mips, shown(ratio, 2)]));
  }
  lines.push(row("geom. mean", ["", "", "", shown(ratios.loopsVsQemu, 2)]));
  if (boot !== null) {
    lines.push(
      "",
      `boot of ${boot.fixture} (${boot.source.package ?? "own"} ${boot.source.version ?? ""})`,
      row("mode", [
        ...["POST to verdict", "processor time", "instructions", "speed", "hypercalls", "in the guest"],
        ...["x qemu TCG", "x in processor"],
      ]),
    );
    for (const mode of BOOT_MODES) {
      const measured = boot.modes[mode];
      lines.push(
        row(mode, [
          shown(measured?.seconds, 2, " s"),
          shown(measured?.cpuSeconds, 2, " s"),
          shown(measured === null ? null : measured.instructions / 1e9, 3, " G"),
          shown(measured?.mips, 0, " MIPS"),
          shown(measured?.hypercalls.calls, 0),
          shown(measured === null ? null : measured.hypercalls.shareInEmu * 100, 1, " %"),
          shown(quotient(measured?.seconds, boot.qemu?.seconds), 2),
          shown(quotient(measured?.cpuSeconds, boot.qemu?.cpuSeconds), 2),
        ]),
      );
    }
    lines.push(row("qemu TCG", [shown(boot.qemu?.seconds, 2, " s"), shown(boot.qemu?.cpuSeconds, 2, " s")]));
  }
  if (report.checkpoints !== null) lines.push("", ...formatCheckpoints(report.checkpoints));
  return lines.join("\n");
}

function formatCheckpoints({ boots, resumeMilliseconds }: CheckpointFigures): string[] {
  const lines = [row("checkpoints", ["number", "share of time", "pages each", "MB each", "us a page"])];
  for (const boot of boots) {
    const cells = [
      String(boot.count),
      shown(boot.share * 100, 1, " %"),
      shown(boot.pagesEach, 0),
      shown(boot.bytesEach / 1e6, 1),
      shown(boot.microsecondsPerPage, 0),
    ];
    lines.push(row(`${boot.memoryMiB} MiB RAM`, cells));
  }
  if (resumeMilliseconds.length > 0) {
    lines.push(row("resume", [`${median(resumeMilliseconds)} ms`, "alarm to first guest instruction"]));
  }
  return lines;
}
