/*
 * The ACPI tables, read as the specification (6.2, chapter 5) says: from the RSDP through the XSDT to each table, with all
 * checksums, and what a kernel is to find in them. Where Intel's compiler iasl is installed, it takes them apart, too: it
 * knows the tables better than this test.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { acpiTables } from "./acpi.ts";

const ADDRESS = 0x8024000;
const PORTS = { sleepControl: 0xe40, sleepStatus: 0xe41, reset: 0xe42, resetValue: 0x52 };
const bytes = acpiTables(ADDRESS, PORTS);
const view = new DataView(bytes.buffer);

const text = (at: number, length: number): string =>
  new TextDecoder().decode(bytes.subarray(at, at + length));
const sum = (at: number, length: number): number =>
  bytes.subarray(at, at + length).reduce((total, byte) => total + byte, 0) & 0xff;
const quad = (at: number): number => Number(view.getBigUint64(at, true));

/** Offsets of the tables that the XSDT names, and of the DSDT, by signature. */
function tables(): Map<string, number> {
  const xsdt = quad(24) - ADDRESS;
  const found = new Map([["XSDT", xsdt]]);
  for (let at = xsdt + 36; at < xsdt + view.getUint32(xsdt + 4, true); at += 8) {
    const table = quad(at) - ADDRESS;
    found.set(text(table, 4), table);
  }
  found.set("DSDT", quad(found.get("FACP")! + 140) - ADDRESS);
  return found;
}

test("the RSDP is found by its signature and has both its checksums", () => {
  expect([text(0, 8), sum(0, 20), sum(0, 36), bytes[15]]).toEqual(["RSD PTR ", 0, 0, 2]);
});

test("every table's signature, length and checksum", () => {
  expect([...tables().keys()].sort()).toEqual(["APIC", "DSDT", "FACP", "XSDT"]);
  const places = [...tables()].map(([signature, at]) => ({
    signature,
    at,
    length: view.getUint32(at + 4, true),
  }));
  for (const { signature, at, length } of places)
    expect([text(at, 4), sum(at, length)]).toEqual([signature, 0]);
  places.sort((a, b) => a.at - b.at);
  for (const [i, { at, length }] of places.entries())
    expect(at + length).toBeLessThanOrEqual(places[i + 1]?.at ?? bytes.length);
});

test("the address must be aligned", () => {
  expect(() => acpiTables(ADDRESS + 8, PORTS)).toThrow(RangeError);
});

function iasl(): string | undefined {
  try {
    execFileSync("iasl", ["-v"], { stdio: "ignore" });
    return "iasl";
  } catch {
    return undefined;
  }
}

describe.skipIf(iasl() === undefined)("as iasl reads them", () => {
  /** The disassembly of one table. */
  function disassemble(signature: string): string {
    const at = tables().get(signature)!;
    const directory = mkdtempSync(join(tmpdir(), "acpi-"));
    try {
      writeFileSync(join(directory, "table.aml"), bytes.subarray(at, at + view.getUint32(at + 4, true)));
      execFileSync("iasl", ["-d", "table.aml"], { cwd: directory, stdio: "ignore" });
      return readFileSync(join(directory, "table.dsl"), "utf8");
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  test("the DSDT names the sleep type of S5", () => {
    expect(disassemble("DSDT").replaceAll(/\s+/g, " ")).toMatch(
      /Name \(\\?_S5, Package \(0x04\) .*\{ 0x05, Zero, Zero, Zero \}\)/,
    );
  });

  test("the FADT: hardware-reduced, resets and sleeps by ports, no legacy devices", () => {
    const fadt = disassemble("FACP");
    expect(fadt).toMatch(/Hardware Reduced \(V5\) : 1/);
    expect(fadt).toMatch(/Reset Register Supported \(V2\) : 1/);
    expect(fadt).toMatch(/Value to cause reset : 52/);
    expect(fadt).toMatch(/Legacy Devices Supported \(V2\) : 0/);
    expect(fadt).toMatch(/8042 Present on ports 60\/64 \(V2\) : 0/);
    expect(fadt).toMatch(/CMOS RTC Not Present \(V5\) : 1/);
    for (const port of ["0E40", "0E41", "0E42"]) expect(fadt).toContain(`Address : 000000000000${port}`);
    expect(fadt).not.toMatch(/\*\*\*\* /);
  });

  test("the MADT: one local APIC, enabled, and nothing else", () => {
    const madt = disassemble("APIC");
    expect(madt.match(/Subtable Type : /g)).toHaveLength(1);
    expect(madt).toMatch(/Subtable Type : 00 \[Processor Local APIC\]/);
    expect(madt).toMatch(/Processor Enabled : 1/);
    expect(madt).not.toMatch(/\*\*\*\* /);
  });
});
