/*
 * ACPI tables for a machine of one processor without legacy devices: RSDP, XSDT, FADT (hardware-reduced), MADT with one
 * local APIC, DSDT with nothing but \_S5. After the ACPI specification 6.2, chapter 5.
 */

/** What the tables name. Ports are one byte wide. */
export interface AcpiPorts {
  /** SLEEP_CONTROL_REG and SLEEP_STATUS_REG (4.8.3.7). */
  readonly sleepControl: number;
  readonly sleepStatus: number;
  /** RESET_REG, and the value that resets. */
  readonly reset: number;
  readonly resetValue: number;
}

/** SLP_TYP of \_S5, and SLP_EN, as in SLEEP_CONTROL_REG. */
export const S5_SLEEP_TYPE = 5;
export const SLEEP_ENABLE = 0x20;

export const LOCAL_APIC_ADDRESS = 0xfee00000;
export const HEADER_BYTES = 36;
const OEM_ID = "XENNER";
const TABLE_ALIGNMENT = 64;
/** Each table has its own place, so that none depends on another's length. */
const OFFSETS = { rsdp: 0, xsdt: 0x40, fadt: 0x100, madt: 0x240, dsdt: 0x280, end: 0x2c0 } as const;
export const ACPI_BYTES = OFFSETS.end;

export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return -sum & 0xff;
}

function text(bytes: Uint8Array, offset: number, value: string): void {
  for (let i = 0; i < value.length; i++) bytes[offset + i] = value.charCodeAt(i);
}

/** A table with its header filled in; the checksum comes last. */
export function table(
  signature: string,
  revision: number,
  length: number,
  fill: (view: DataView) => void,
): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  text(bytes, 0, signature);
  view.setUint32(4, length, true);
  bytes[8] = revision;
  text(bytes, 10, OEM_ID);
  text(bytes, 16, "XENNERVM");
  view.setUint32(24, 1, true);
  text(bytes, 28, "XNNR");
  view.setUint32(32, 1, true);
  fill(view);
  bytes[9] = checksum(bytes);
  return bytes;
}

/** Generic Address Structure: a system I/O port, one byte wide if not told otherwise. */
export function portAddress(view: DataView, offset: number, port: number, bytes: 1 | 2 | 4 = 1): void {
  view.setUint8(offset, 1);
  view.setUint8(offset + 1, bytes * 8);
  view.setUint8(offset + 3, bytes === 4 ? 3 : bytes);
  view.setBigUint64(offset + 4, BigInt(port), true);
}

/** FADT flags: WBINVD, no fixed power and sleep buttons, RESET_REG_SUP, HW_REDUCED_ACPI. */
const FADT_FLAGS = (1 << 0) | (1 << 4) | (1 << 5) | (1 << 10) | (1 << 20);
/** IA-PC boot flags: no VGA, no MSI, no CMOS RTC; no legacy devices and no 8042 by their bits being clear. */
const BOOT_FLAGS = (1 << 2) | (1 << 3) | (1 << 5);

function fadt(dsdt: number, ports: AcpiPorts): Uint8Array {
  return table("FACP", 6, 276, (view) => {
    view.setUint32(40, dsdt, true);
    view.setUint16(109, BOOT_FLAGS, true);
    view.setUint32(112, FADT_FLAGS, true);
    portAddress(view, 116, ports.reset);
    view.setUint8(128, ports.resetValue);
    view.setUint8(131, 2); // 6.2
    view.setBigUint64(140, BigInt(dsdt), true);
    portAddress(view, 244, ports.sleepControl);
    portAddress(view, 256, ports.sleepStatus);
  });
}

function madt(): Uint8Array {
  return table("APIC", 3, HEADER_BYTES + 8 + 8, (view) => {
    view.setUint32(36, LOCAL_APIC_ADDRESS, true);
    // Processor Local APIC: processor 0, APIC id 0, enabled.
    view.setUint8(44, 0);
    view.setUint8(45, 8);
    view.setUint32(48, 1, true);
  });
}

/** AML of Name (\_S5, Package (4) { S5_SLEEP_TYPE, 0, 0, 0 }). */
export const S5 = [0x08, 0x5c, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x07, 0x04, 0x0a, S5_SLEEP_TYPE, 0, 0, 0];

export function rsdp(xsdt: number): Uint8Array {
  const bytes = new Uint8Array(36);
  const view = new DataView(bytes.buffer);
  text(bytes, 0, "RSD PTR ");
  text(bytes, 9, OEM_ID);
  bytes[15] = 2;
  view.setUint32(20, bytes.length, true);
  view.setBigUint64(24, BigInt(xsdt), true);
  bytes[8] = checksum(bytes.subarray(0, 20));
  bytes[32] = checksum(bytes);
  return bytes;
}

/** All tables, for physical address `address` (a multiple of 64), ACPI_BYTES long. The RSDP comes first. */
export function acpiTables(address: number, ports: AcpiPorts): Uint8Array {
  if (address % TABLE_ALIGNMENT !== 0) throw new RangeError("ACPI tables must be aligned to 64 bytes");
  const bytes = new Uint8Array(ACPI_BYTES);
  bytes.set(rsdp(address + OFFSETS.xsdt), OFFSETS.rsdp);
  const xsdt = table("XSDT", 1, HEADER_BYTES + 16, (view) => {
    view.setBigUint64(36, BigInt(address + OFFSETS.fadt), true);
    view.setBigUint64(44, BigInt(address + OFFSETS.madt), true);
  });
  bytes.set(xsdt, OFFSETS.xsdt);
  bytes.set(fadt(address + OFFSETS.dsdt, ports), OFFSETS.fadt);
  bytes.set(madt(), OFFSETS.madt);
  const dsdt = table("DSDT", 2, HEADER_BYTES + S5.length, (view) => {
    for (const [i, byte] of S5.entries()) view.setUint8(HEADER_BYTES + i, byte);
  });
  bytes.set(dsdt, OFFSETS.dsdt);
  return bytes;
}
