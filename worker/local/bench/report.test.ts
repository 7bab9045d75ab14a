/*
 * The report turns samples into medians and ratios. Here samples are made up so that each figure is known beforehand:
 * workerd twice as fast as qemu in two loops and half as fast in the other two gives a mean ratio of one.
 */
import { describe, expect, test } from "vitest";
import { describeLoops } from "../../../engine/cpu/bench/loops.ts";
import { formatReport, noSamples, summarize } from "./report.ts";

const MACHINE = { processor: "test", processors: 2, node: "24", qemu: "qemu 7" };
const HYPERCALLS = { calls: 4, inEmu: 3, byPort: 1, errors: 0, instructions: 400, shareInEmu: 0.75 };
const SUBJECT = {
  fixture: "debian-cloud",
  source: { kernelSha256: "00" },
  work: {
    pv: { instructions: 3_000_000_000, hypercalls: HYPERCALLS },
    hvm: { instructions: 2_000_000_000, hypercalls: { ...HYPERCALLS, shareInEmu: 0 } },
  },
};
const loops = describeLoops();

describe("summarize", () => {
  test("medians, MIPS and ratios", () => {
    const samples = noSamples();
    loops.forEach(({ name }, index) => {
      samples.loops[name].qemu.push(1, 1, 9);
      samples.loops[name].workerd.push(index < 2 ? 0.5 : 2);
    });
    samples.boot.pv.push(12, 10, 11);
    samples.boot.hvm.push(16.5);
    samples.bootCpu.hvm.push(9);
    samples.bootCpu.qemu.push(4.5);
    samples.boot.qemu.push(5.5);
    const report = summarize(MACHINE, loops, samples, SUBJECT);
    expect(report.ratios.loopsVsQemu).toBeCloseTo(1, 12);
    expect(report.ratios.bootVsQemu).toBeCloseTo(2, 12);
    expect(report.ratios.loopsNodeVsQemu).toBeNull();
    expect(report.loops.crc.qemu).toEqual({ seconds: 1, mips: loops[0]!.instructions / 1e6 });
    expect(report.loops.crc.node).toBeNull();
    expect(report.ratios.hvmVsQemu).toBeCloseTo(3, 12);
    expect(report.boot?.modes.pv).toMatchObject({ seconds: 11, instructions: 3_000_000_000 });
    expect(report.boot?.modes.pv?.mips).toBeCloseTo(3000 / 11, 9);
    expect(report.boot?.modes.pvh).toBeNull();
    expect(JSON.parse(JSON.stringify(report)).ratios).toEqual(report.ratios);
    expect(formatReport(report)).toMatch(/pv +11\.00 s +- +3\.000 G +273 MIPS +4 +75\.0 % +2\.00 +-\n/);
    expect(formatReport(report)).toMatch(
      /hvm +16\.50 s +9\.00 s +2\.000 G +121 MIPS +4 +0\.0 % +3\.00 +2\.00\n/,
    );
  });

  test("what was not measured is null, and no ratio is made of it", () => {
    const samples = noSamples();
    samples.loops.crc.workerd.push(1);
    samples.loops.crc.qemu.push(1);
    samples.boot.qemu.push(5);
    const report = summarize(MACHINE, loops, samples, undefined);
    expect(report.ratios).toEqual({
      loopsVsQemu: null,
      loopsNodeVsQemu: null,
      loopsWorkerdVsNode: null,
      bootVsQemu: null,
      hvmVsQemu: null,
      hvmVsQemuCpu: null,
    });
    expect(report.boot).toBeNull();
    expect(formatReport(report)).toMatch(/copy +- +- +-/);
  });

  test("what checkpoints cost, and a resume", () => {
    const boot = { memoryMiB: 128, instructions: 3e9, count: 4, share: 0.0251, pagesEach: 4000.4 };
    const boots = [{ ...boot, bytesEach: 18.25e6, microsecondsPerPage: 44.6 }];
    const report = summarize(MACHINE, loops, noSamples(), undefined, {
      boots,
      resumeMilliseconds: [30, 20, 90],
    });
    expect(formatReport(report)).toMatch(/128 MiB RAM +4 +2\.5 % +4000 +18\.3 +45\n/);
    expect(formatReport(report)).toMatch(/resume +30 ms/);
  });
});
