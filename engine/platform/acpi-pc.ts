/*
 * ACPI tables of a PC: RSDP, XSDT, FADT with fixed hardware, FACS, MADT with an I/O APIC, and a DSDT with a PCI host bridge,
 * a serial port, a clock and \_S5. After the ACPI specification 6.2, chapter 5.
 */

import { HEADER_BYTES, LOCAL_APIC_ADDRESS, portAddress, rsdp, S5, table } from "./acpi.ts";
import {
  busNumbers,
  device,
  eisaId,
  io,
  ioRange,
  irq,
  memoryRange,
  named,
  resources,
  scope,
  word,
} from "./aml.ts";
import { IO_APIC_ADDRESS, IO_APIC_ID } from "./io-apic.ts";

/** Ports of the fixed hardware (4.8.3), and others that the tables name. */
export const PC_PORTS = {
  /** PM1a_STS and PM1a_EN. */
  pm1Event: 0x600,
  pm1Control: 0x604,
  pmTimer: 0x608,
  reset: 0xcf9,
  resetValue: 0x06,
  serial: 0x3f8,
  rtc: 0x70,
} as const;
/** GSI of the timer's interrupt 0, as everywhere. */
export const TIMER_GSI = 2;
export const SCI = 9;
export const SERIAL_IRQ = 4;
export const RTC_IRQ = 8;
export const RTC_CENTURY = 0x32;

export const RSDP_BYTES = 36;
const TABLE_ALIGNMENT = 64;
/** Each table has its own place, so that none depends on another's length. */
const OFFSETS = {
  rsdp: 0,
  xsdt: 0x40,
  facs: 0x80,
  fadt: 0x100,
  madt: 0x240,
  dsdt: 0x2c0,
  end: 0x1000,
} as const;
export const PC_ACPI_BYTES = OFFSETS.end;

/** FADT flags: WBINVD, PROC_C1, no fixed power and sleep buttons, TMR_VAL_EXT, RESET_REG_SUP. */
const FADT_FLAGS = (1 << 0) | (1 << 2) | (1 << 4) | (1 << 5) | (1 << 8) | (1 << 10);
/** IA-PC boot flags: legacy devices, no VGA, no MSI; no 8042 by its bit being clear. */
const BOOT_FLAGS = (1 << 0) | (1 << 2) | (1 << 3);
/** P_LVL2_LAT and P_LVL3_LAT: more than these allow means that there is no C2 and no C3. */
const NO_C2 = 101;
const NO_C3 = 1001;

function fadt(facs: number, dsdt: number): Uint8Array {
  return table("FACP", 6, 276, (view) => {
    view.setUint32(36, facs, true);
    view.setUint32(40, dsdt, true);
    view.setUint16(46, SCI, true);
    // No SMI command port: the machine is in ACPI mode from the beginning.
    view.setUint32(56, PC_PORTS.pm1Event, true);
    view.setUint32(64, PC_PORTS.pm1Control, true);
    view.setUint32(76, PC_PORTS.pmTimer, true);
    view.setUint8(88, 4);
    view.setUint8(89, 2);
    view.setUint8(91, 4);
    view.setUint16(96, NO_C2, true);
    view.setUint16(98, NO_C3, true);
    view.setUint8(108, RTC_CENTURY);
    view.setUint16(109, BOOT_FLAGS, true);
    view.setUint32(112, FADT_FLAGS, true);
    portAddress(view, 116, PC_PORTS.reset);
    view.setUint8(128, PC_PORTS.resetValue);
    view.setUint8(131, 2); // 6.2
    // Either address of the FACS, not both (table 5-33).
    view.setBigUint64(140, BigInt(dsdt), true);
    portAddress(view, 148, PC_PORTS.pm1Event, 4);
    portAddress(view, 172, PC_PORTS.pm1Control, 2);
    portAddress(view, 208, PC_PORTS.pmTimer, 4);
  });
}

/** Firmware ACPI Control Structure: it has no checksum. */
function facs(): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(new TextEncoder().encode("FACS"));
  bytes[4] = bytes.length;
  bytes[32] = 2;
  return bytes;
}

const PCAT_COMPAT = 1;
/** MPS INTI flags: active high, level-triggered; 0 is what the bus has. */
const HIGH_LEVEL = 0x0d;

function madt(): Uint8Array {
  const dwords = (value: number): number[] => [...word(value), ...word(value >>> 16)];
  const structures = [
    // Processor Local APIC: processor 0, APIC id 0, enabled.
    [0, 8, 0, 0, ...dwords(1)],
    // I/O APIC 1, whose first pin is GSI 0.
    [1, 12, IO_APIC_ID, 0, ...dwords(IO_APIC_ADDRESS), ...dwords(0)],
    // Interrupt Source Overrides: the timer, the SCI.
    [2, 10, 0, 0, ...dwords(TIMER_GSI), ...word(0)],
    [2, 10, 0, SCI, ...dwords(SCI), ...word(HIGH_LEVEL)],
    // Local APIC NMI: LINT1 of all processors.
    [4, 6, 0xff, ...word(0), 1],
  ].flat();
  return table("APIC", 3, HEADER_BYTES + 8 + structures.length, (view) => {
    view.setUint32(36, LOCAL_APIC_ADDRESS, true);
    view.setUint32(40, PCAT_COMPAT, true);
    for (const [i, value] of structures.entries()) view.setUint8(44 + i, value);
  });
}

function dsdt(pciWindow: { readonly address: number; readonly bytes: number }): Uint8Array {
  const aml = [
    ...S5,
    ...scope("\\_SB_", [
      ...device("PCI0", [
        ...named("_HID", eisaId("PNP0A03")),
        ...named("_UID", [0]),
        ...named(
          "_CRS",
          resources([
            ...busNumbers(0, 0xff),
            ...io(0xcf8, 8),
            ...ioRange(0, 0xcf7),
            ...ioRange(0xd00, 0xffff),
            ...memoryRange(pciWindow.address, pciWindow.bytes),
          ]),
        ),
      ]),
      ...device("COM1", [
        ...named("_HID", eisaId("PNP0501")),
        ...named("_UID", [1]),
        ...named("_CRS", resources([...io(PC_PORTS.serial, 8), ...irq(SERIAL_IRQ)])),
      ]),
      ...device("RTC_", [
        ...named("_HID", eisaId("PNP0B00")),
        ...named("_CRS", resources([...io(PC_PORTS.rtc, 2), ...irq(RTC_IRQ)])),
      ]),
    ]),
  ];
  return table("DSDT", 2, HEADER_BYTES + aml.length, (view) => {
    for (const [i, value] of aml.entries()) view.setUint8(HEADER_BYTES + i, value);
  });
}

/** All tables, for physical address `address` (a multiple of 64), PC_ACPI_BYTES long. The RSDP comes first. */
export function hvmAcpiTables(
  address: number,
  pciWindow: { readonly address: number; readonly bytes: number },
): Uint8Array {
  if (address % TABLE_ALIGNMENT !== 0) throw new RangeError("ACPI tables must be aligned to 64 bytes");
  const bytes = new Uint8Array(PC_ACPI_BYTES);
  bytes.set(rsdp(address + OFFSETS.xsdt), OFFSETS.rsdp);
  const xsdt = table("XSDT", 1, HEADER_BYTES + 16, (view) => {
    view.setBigUint64(36, BigInt(address + OFFSETS.fadt), true);
    view.setBigUint64(44, BigInt(address + OFFSETS.madt), true);
  });
  bytes.set(xsdt, OFFSETS.xsdt);
  bytes.set(facs(), OFFSETS.facs);
  bytes.set(fadt(address + OFFSETS.facs, address + OFFSETS.dsdt), OFFSETS.fadt);
  bytes.set(madt(), OFFSETS.madt);
  bytes.set(dsdt(pciWindow), OFFSETS.dsdt);
  return bytes;
}
