/*
 * The local APIC in x2APIC mode, driven by its MSRs as the SDM, vol. 3A chapter 10, describes it: priorities, end of
 * interrupt, the timer in both modes and its divider, interrupts to oneself, and what is #GP.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { Lapic } from "./lapic.ts";
import { PvhPlatform } from "./pvh-platform.ts";

const TPR = 0x808;
const PPR = 0x80a;
const EOI = 0x80b;
const SVR = 0x80f;
const ESR = 0x828;
const ICR = 0x830;
const LVT_TIMER = 0x832;
const INITIAL = 0x838;
const CURRENT = 0x839;
const DIVIDE = 0x83e;
const SELF_IPI = 0x83f;
const PERIODIC = 1 << 17;

let lapic: Lapic;
let nmis: number;
const write = (msr: number, value: number | bigint, now = 0): boolean =>
  lapic.write(msr, BigInt(value), now, { nmi: () => nmis++ });
const read = (msr: number, now = 0): bigint | undefined => lapic.read(msr, now);

beforeEach(() => {
  lapic = new Lapic();
  nmis = 0;
  write(SVR, 0x1ff);
});

describe("after reset", () => {
  test("disabled by software, everything masked", () => {
    lapic = new Lapic();
    expect(read(SVR)).toBe(0xffn);
    for (let lvt = LVT_TIMER; lvt <= 0x837; lvt++) expect(read(lvt)).toBe(0x10000n);
    // What arrives is kept, and delivered once it is enabled.
    lapic.request(0x40);
    expect(lapic.pending).toBeUndefined();
    write(SVR, 0x1ff);
    expect(lapic.pending).toBe(0x40);
  });

  test("an entry of the local vector table stays masked as long as it is disabled", () => {
    lapic = new Lapic();
    expect(write(LVT_TIMER, 0x40)).toBe(true);
    expect(read(LVT_TIMER)).toBe(0x10040n);
  });
});

describe("priorities", () => {
  test("the highest first; one in service holds off its class and those below", () => {
    lapic.request(0x41);
    lapic.request(0x55);
    expect(lapic.pending).toBe(0x55);
    lapic.acknowledge(0x55);
    expect(read(PPR)).toBe(0x50n);
    expect(lapic.pending).toBeUndefined();
    lapic.request(0x5f);
    expect(lapic.pending).toBeUndefined();
    lapic.request(0x60);
    expect(lapic.pending).toBe(0x60);
    lapic.acknowledge(0x60);
    write(EOI, 0);
    expect(read(PPR)).toBe(0x50n);
    write(EOI, 0);
    expect([read(PPR), lapic.pending]).toEqual([0n, 0x5f]);
  });

  test("the task priority", () => {
    write(TPR, 0x4f);
    lapic.request(0x4f);
    expect(lapic.pending).toBeUndefined();
    lapic.request(0x50);
    expect(lapic.pending).toBe(0x50);
    expect(read(PPR)).toBe(0x4fn);
  });

  test("requested and in service, as the registers show them", () => {
    lapic.request(0x41);
    lapic.request(0xff);
    lapic.acknowledge(0xff);
    expect([read(0x822), read(0x827), read(0x817)]).toEqual([2n, 0n, 0x80000000n]);
  });
});

describe("the timer", () => {
  test("fires once, after its count times the divider", () => {
    write(DIVIDE, 0b1011);
    write(LVT_TIMER, 0xec);
    write(INITIAL, 1000, 500);
    expect([lapic.deadline, read(CURRENT, 700)]).toEqual([1500, 800n]);
    lapic.advance(1499);
    expect(lapic.pending).toBeUndefined();
    lapic.advance(1500);
    expect([lapic.pending, lapic.deadline, read(CURRENT, 1600)]).toEqual([0xec, undefined, 0n]);
  });

  test.each([
    [0, 2],
    [1, 4],
    [2, 8],
    [3, 16],
    [8, 32],
    [9, 64],
    [10, 128],
    [11, 1],
  ])("divider %d is %d", (code, divisor) => {
    write(DIVIDE, code);
    write(INITIAL, 10);
    expect(lapic.deadline).toBe(10 * divisor);
  });

  test("fires again and again, without drifting when it is looked at late", () => {
    write(DIVIDE, 11);
    write(LVT_TIMER, 0xec | PERIODIC);
    write(INITIAL, 100_000);
    lapic.advance(250_000);
    expect([lapic.pending, lapic.deadline]).toEqual([0xec, 300_000]);
  });

  test("masked, it counts and says nothing; a count of 0 stops it", () => {
    write(LVT_TIMER, 0x100ec);
    write(INITIAL, 5);
    lapic.advance(1000);
    expect([lapic.pending, lapic.deadline]).toEqual([undefined, undefined]);
    write(INITIAL, 5);
    write(INITIAL, 0);
    expect(lapic.deadline).toBeUndefined();
  });
});

describe("interrupts to oneself", () => {
  test.each([
    ["SELF IPI", SELF_IPI, 0xf6n, 0xf6],
    ["to this physical id", ICR, 0x40n, 0x40],
    ["to another one", ICR, (3n << 32n) | 0x40n, undefined],
    ["to this logical id", ICR, (1n << 32n) | 0x840n, 0x40],
    ["to another logical id", ICR, (2n << 32n) | 0x840n, undefined],
    ["self", ICR, 0x40040n, 0x40],
    ["all including self", ICR, 0x80040n, 0x40],
    ["all but self", ICR, 0xc0040n, undefined],
  ])("%s", (_, msr, value, vector) => {
    expect(write(msr, value)).toBe(true);
    expect(lapic.pending).toBe(vector);
  });

  test("an NMI", () => {
    write(ICR, 0x40400);
    expect([nmis, lapic.pending]).toEqual([1, undefined]);
  });

  test("a vector below 16 is an error, which a write of the status register shows", () => {
    write(SELF_IPI, 5);
    write(ICR, 0x40005);
    expect([lapic.pending, read(ESR)]).toEqual([undefined, 0n]);
    write(ESR, 0);
    expect(read(ESR)).toBe(0x60n);
    write(ESR, 0);
    expect(read(ESR)).toBe(0n);
  });
});

describe("#GP", () => {
  test.each([
    ["a register that is read-only", PPR, 0n],
    ["the destination format register, which x2APIC has not", 0x80e, 0n],
    ["EOI of anything but zero", EOI, 1n],
    ["the error status of anything but zero", ESR, 1n],
    ["reserved bits of the task priority", TPR, 0x100n],
    ["reserved bits of the spurious vector", SVR, 0x1000n],
    ["the TSC-deadline mode, which CPUID does not offer", LVT_TIMER, 0x40040n],
    ["more than 32 bits", INITIAL, 1n << 32n],
  ])("writing %s", (_, msr, value) => {
    expect(write(msr, value)).toBe(false);
  });

  test.each([0x800, 0x80b, 0x80e, SELF_IPI, 0x840, 0x8ff])("reading 0x%s", (msr) => {
    expect(read(msr)).toBeUndefined();
  });
});

test("what is saved is the whole", () => {
  write(LVT_TIMER, 0xec);
  write(INITIAL, 77, 5);
  lapic.request(0x40);
  lapic.request(0x80);
  lapic.acknowledge(0x80);
  const copy = new Lapic(structuredClone(lapic.save()));
  expect(copy.save()).toEqual(lapic.save());
  expect([copy.pending, copy.deadline]).toEqual([lapic.pending, lapic.deadline]);
});

test("a PVH guest finds it in xAPIC mode, as in Xen; where RAM is in the place of its registers, in x2APIC mode for good", () => {
  const sinks = { print: () => {}, powerOff: () => {}, reset: () => {}, nmi: () => {} };
  const platform = new PvhPlatform(sinks, true);
  expect(platform.readMsr(0x1b, 0)).toBe(0xfee00900n);
  expect([platform.readMemory(0xfee00030, 0), platform.readMsr(0x803, 0)]).toEqual([0x50014, undefined]);
  expect(platform.writeMsr(0x1b, 0xfee00d00n, 0)).toBe(true);
  expect([platform.readMemory(0xfee00030, 0), platform.readMsr(0x803, 0)]).toEqual([0xffffffff, 0x50014n]);
  const large = new PvhPlatform(sinks, false);
  expect(large.readMsr(0x1b, 0)).toBe(0xfee00d00n);
  expect(large.writeMsr(0x1b, 0xfee00100n, 0)).toBe(false);
});
