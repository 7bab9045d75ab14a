/*
 * What of a PC the guest in testing/pc-guest.c cannot show on qemu: Xen's ports to unplug devices and its platform device, as
 * Linux's drivers (arch/x86/xen/platform-pci-unplug.c, drivers/xen/platform-pci.c) ask for them; input by the serial port;
 * the date, sleep and reset; and that a platform made anew from what it saved answers as the one before.
 */
import { beforeEach, expect, test } from "vitest";
import { PC_PORTS } from "./acpi-pc.ts";
import { PcPlatform } from "./pc-platform.ts";

const START = Date.UTC(2026, 10, 23, 5, 31, 59) / 1000;
const SECOND = 1e9;
const PCI_MEMORY = 0x10000000;
const COM1 = 0x3f8;

let told: string[];
const sinks = {
  print: (bytes: Uint8Array) => told.push(`print ${new TextDecoder().decode(bytes)}`),
  powerOff: () => told.push("power off"),
  reset: () => told.push("reset"),
  nmi: () => told.push("nmi"),
};
let pc: PcPlatform;
beforeEach(() => {
  told = [];
  pc = new PcPlatform(sinks, START, PCI_MEMORY);
});

function config(slot: number, register: number): number {
  pc.write(0xcf8, 4, 0x80000000 | (slot << 11) | register, 0);
  return pc.read(0xcfc, 4, 0);
}

test("emulated devices are unplugged: magic number, protocol, and whatever is asked for", () => {
  expect(pc.read(0x10, 2, 0)).toBe(0x49d2);
  expect(pc.read(0x12, 1, 0)).toBeLessThanOrEqual(1);
  pc.write(0x12, 2, 3, 0);
  pc.write(0x10, 4, 0x60100, 0);
  expect(pc.read(0x10, 2, 0)).toBe(0x49d2);
  pc.write(0x10, 2, 3, 0);
});

test("Xen's platform device has ports, and memory that can be sized and moved", () => {
  expect(config(3, 0)).toBe(0x0001_5853);
  expect(config(3, 8) >>> 8).toBe(0xff8000);
  expect(config(3, 0x10)).toBe(0xc001);
  expect(config(3, 0x14)).toBe(PCI_MEMORY | 8);
  pc.write(0xcfc, 4, 0xffffffff, 0);
  expect(pc.read(0xcfc, 4, 0)).toBe(0xff000008);
  pc.write(0xcfc, 4, 0x12000000, 0);
  expect(pc.read(0xcfc, 4, 0)).toBe(0x12000008);
  expect(config(3, 0x18)).toBe(0);
  // Bytes and words of a register, and slots that are empty.
  config(0, 0);
  expect([pc.read(0xcfd, 1, 0), pc.read(0xcfe, 2, 0)]).toEqual([0x80, 0x1237]);
  expect(config(1, 0)).toBe(0xffffffff);
});

test("what is typed reaches the serial port once it is open, and interrupts", () => {
  expect(pc.input(Uint8Array.of(65))).toBe(false);
  // 8259: base 0x30, only input 4.
  for (const [port, value] of [
    [0x20, 0x11],
    [0x21, 0x30],
    [0x21, 4],
    [0x21, 1],
    [0x21, 0xef],
    [COM1 + 4, 8],
    [COM1 + 1, 1],
  ] as const)
    pc.write(port, 1, value, 0);
  expect(pc.pending).toBeUndefined();
  expect(pc.input(Uint8Array.of(65, 66))).toBe(true);
  expect(pc.pending).toBe(0x34);
  pc.acknowledge(0x34);
  expect(pc.pending).toBeUndefined();
  expect(pc.read(COM1 + 2, 1, 0) & 0xf).toBe(4);
  expect([pc.read(COM1 + 5, 1, 0) & 1, pc.read(COM1, 1, 0)]).toEqual([1, 65]);
  expect([pc.read(COM1, 1, 0), pc.read(COM1 + 5, 1, 0) & 1]).toEqual([66, 0]);
  expect(pc.read(COM1 + 2, 1, 0) & 0xf).toBe(1);
  pc.write(COM1, 1, 0x21, 0);
  expect(told).toEqual(["print !"]);
});

test("who knows of no Xen and looks for input without interrupts gets it once the port is set up", () => {
  expect(pc.input(Uint8Array.of(65), true)).toBe(false);
  pc.write(COM1 + 3, 1, 3, 0);
  expect(pc.input(Uint8Array.of(65), false)).toBe(false);
  expect(pc.read(COM1 + 5, 1, 0) & 1).toBe(0);
  expect(pc.input(Uint8Array.of(66), true)).toBe(true);
  expect([pc.read(COM1 + 5, 1, 0) & 1, pc.read(COM1, 1, 0)]).toEqual([1, 66]);
});

test("the clock tells the date in BCD as guest time goes on", () => {
  const date = (now: number): string[] =>
    [0x32, 9, 8, 7, 4, 2, 0].map((register) => {
      pc.write(0x70, 1, register, now);
      return pc.read(0x71, 1, now).toString(16).padStart(2, "0");
    });
  expect(date(0)).toEqual(["20", "26", "11", "23", "05", "31", "59"]);
  expect(date(1.5 * SECOND)).toEqual(["20", "26", "11", "23", "05", "32", "00"]);
});

test("S5 powers off, other sleep types do not; the reset register and the keyboard's pulse reset", () => {
  pc.write(PC_PORTS.pm1Control, 2, (3 << 10) | 0x2000, 0);
  expect(told).toEqual([]);
  expect(pc.read(PC_PORTS.pm1Control, 2, 0)).toBe(1);
  pc.write(PC_PORTS.pm1Control, 2, (5 << 10) | 0x2000, 0);
  pc.write(0xcf9, 1, 6, 0);
  pc.write(0x64, 1, 0xfe, 0);
  expect(told).toEqual(["power off", "reset", "reset"]);
});

test("a timer's tick is due to the nanosecond, and a platform made anew goes on with it", () => {
  // Counter 0, mode 2, 1193 ticks of 1193182 Hz: 999847.5 ns.
  for (const [port, value] of [
    [0x43, 0x34],
    [0x40, 1193 & 0xff],
    [0x40, 1193 >> 8],
  ] as const)
    pc.write(port, 1, value, 0);
  const due = Math.ceil((1193 * SECOND) / 1193182);
  expect(pc.deadline).toBe(due);
  // The 8259, through LINT0 as firmware leaves it.
  for (const [port, value] of [
    [0x20, 0x11],
    [0x21, 0x30],
    [0x21, 4],
    [0x21, 1],
    [0x21, 0xfe],
  ] as const)
    pc.write(port, 1, value, 0);
  const saved = JSON.parse(JSON.stringify(pc.save()));
  for (const platform of [pc, new PcPlatform(sinks, START, PCI_MEMORY, saved)]) {
    platform.advance(due - 1);
    expect(platform.pending).toBeUndefined();
    platform.advance(due);
    expect(platform.pending).toBe(0x30);
    expect(platform.deadline).toBe(Math.ceil((2 * 1193 * SECOND) / 1193182));
  }
  expect(pc.save()).toEqual(new PcPlatform(sinks, START, PCI_MEMORY, pc.save()).save());
});

test("a timer cannot be set to tick with every instruction", () => {
  for (const [port, value] of [
    [0x43, 0x14],
    [0x40, 2],
  ] as const)
    pc.write(port, 1, value, 0);
  expect(pc.deadline).toBeGreaterThanOrEqual(10_000);
  pc.write(0x43, 1, 0x30, 0);
  expect(pc.deadline).toBeUndefined();
  // Local APIC: divided by 1, periodic, vector 0x40, initial count 1.
  pc.writeMemory(0xfee003e0, 0xb, 0);
  pc.writeMemory(0xfee00320, 0x20040, 0);
  pc.writeMemory(0xfee00380, 1, 0);
  expect(pc.deadline).toBe(1);
  pc.advance(1);
  expect(pc.deadline).toBeGreaterThanOrEqual(10_000);
  expect(pc.pending).toBe(0x40);
});

test("the local APIC changes modes as the SDM's figure 10-27 allows", () => {
  const BASE = 0x1b;
  const [xapic, x2apic, disabled] = [0xfee00900n, 0xfee00d00n, 0xfee00100n];
  const write = (value: bigint): boolean => pc.writeMsr(BASE, value, 0);
  expect(pc.readMsr(BASE, 0)).toBe(xapic);
  expect(pc.readMsr(0x802, 0)).toBeUndefined();
  expect(pc.readMemory(0xfee00030, 0)).toBe(0x50014);
  expect([write(0xfed00900n), write(0xfee00500n)]).toEqual([false, false]);
  expect(write(x2apic)).toBe(true);
  expect([pc.readMsr(0x803, 0), pc.readMemory(0xfee00030, 0)]).toEqual([0x50014n, 0xffffffff]);
  expect(write(xapic)).toBe(false);
  expect(write(disabled)).toBe(true);
  expect([write(x2apic), write(xapic)]).toEqual([false, true]);
});
