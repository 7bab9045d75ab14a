/*
 * The PC's ACPI tables: Intel's compiler iasl, where it is installed, takes them apart and finds the devices; without it the
 * checksums, the lengths and the pointers from table to table are checked as the specification (6.2, chapter 5) has them.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hvmAcpiTables, PC_ACPI_BYTES, PC_PORTS } from "./acpi-pc.ts";

const ADDRESS = 0x8024000;
const WINDOW = { address: 0x10000000, bytes: 0x8000000 };
const bytes = hvmAcpiTables(ADDRESS, WINDOW);
const view = new DataView(bytes.buffer);
const text = (at: number, length: number): string => String.fromCharCode(...bytes.subarray(at, at + length));
const sum = (at: number, length: number): number =>
  bytes.subarray(at, at + length).reduce((total, byte) => total + byte, 0) & 0xff;

const xsdt = Number(view.getBigUint64(24, true)) - ADDRESS;
const [fadt = 0, madt = 0] = [0, 1].map((i) => Number(view.getBigUint64(xsdt + 36 + i * 8, true)) - ADDRESS);
const dsdt = Number(view.getBigUint64(fadt + 140, true)) - ADDRESS;
const facs = view.getUint32(fadt + 36, true) - ADDRESS;
const tables = { XSDT: xsdt, FACP: fadt, APIC: madt, DSDT: dsdt };

test("each table is where the one before says, with its signature and checksum, and none reaches into another", () => {
  expect(text(0, 8)).toBe("RSD PTR ");
  expect([sum(0, 20), sum(0, 36)]).toEqual([0, 0]);
  const ends: [from: number, to: number][] = [
    [0, 36],
    [facs, facs + 64],
  ];
  for (const [signature, at] of Object.entries(tables)) {
    expect(text(at, 4)).toBe(signature);
    const length = view.getUint32(at + 4, true);
    expect(sum(at, length)).toBe(0);
    ends.push([at, at + length]);
  }
  expect(text(facs, 4)).toBe("FACS");
  expect(facs % 64).toBe(0);
  ends.sort(([a], [b]) => a - b);
  for (const [i, [, to]] of ends.entries()) expect(to).toBeLessThanOrEqual(ends[i + 1]?.[0] ?? PC_ACPI_BYTES);
});

test("the fixed hardware: ports, the interrupt, no hardware-reduced ACPI", () => {
  expect(view.getUint16(fadt + 46, true)).toBe(9);
  expect([56, 64, 76].map((offset) => view.getUint32(fadt + offset, true))).toEqual([
    PC_PORTS.pm1Event,
    PC_PORTS.pm1Control,
    PC_PORTS.pmTimer,
  ]);
  expect([...bytes.subarray(fadt + 88, fadt + 92)]).toEqual([4, 2, 0, 4]);
  expect(view.getUint32(fadt + 112, true) & (1 << 20)).toBe(0);
});

function hasIasl(): boolean {
  try {
    execFileSync("iasl", ["-v"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test.skipIf(!hasIasl())("iasl finds the devices and what is theirs (skipped without iasl)", () => {
  const folder = mkdtempSync(join(tmpdir(), "acpi-pc-"));
  try {
    const disassembled = Object.entries({ ...tables }).map(([name, at]) => {
      writeFileSync(join(folder, `${name}.aml`), bytes.subarray(at, at + view.getUint32(at + 4, true)));
      execFileSync("iasl", ["-d", `${name}.aml`], { cwd: folder, stdio: "ignore" });
      return readFileSync(join(folder, `${name}.dsl`), "latin1");
    });
    const all = disassembled.join("\n");
    expect(all).not.toMatch(/Error|Invalid|incorrect/i);
    for (const found of [
      /Device \(PCI0\)/,
      /EisaId \("PNP0A03"\)/,
      /EisaId \("PNP0501"\)/,
      /EisaId \("PNP0B00"\)/,
      /0x10000000,\s+\/\/ Range Minimum/,
      /0x17FFFFFF,\s+\/\/ Range Maximum/,
      /IRQNoFlags \(\)\s+\{4\}/,
      /Name \(\\?_S5, Package \(0x04\)/,
      /I\/O Apic/i,
      /Interrupt Source Override/i,
    ])
      expect(all).toMatch(found);
    // Its own compiler makes the same of the resources that it read.
    execFileSync("iasl", ["-p", "again", "DSDT.dsl"], { cwd: folder, stdio: "ignore" });
    const again = readFileSync(join(folder, "again.aml"));
    const busNumbers = bytes.indexOf(0x88, dsdt);
    const end = bytes.indexOf(0x79, busNumbers);
    expect(end - busNumbers).toBe(3 * 16 + 8 + 26);
    expect(again.includes(Buffer.from(bytes.subarray(busNumbers, end)))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
