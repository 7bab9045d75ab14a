/*
 * A PCI bus of two functions, reached by configuration mechanism 1 (PCI Local Bus Specification 3.0, 3.2.2.3.2): a host bridge
 * that does nothing, and the device of Xen's platform, which its driver in Linux wants to see and to have memory of.
 */

const PORTS = { address: 0xcf8, data: 0xcfc } as const;
const ENABLE = 0x80000000;
const CONFIG_BYTES = 256;
const NOBODY = 0xffffffff;

const COMMAND = 0x04;
/** I/O, memory, bus master. */
const COMMAND_WRITABLE = 0x07;
const INTERRUPT_LINE = 0x3c;
const BAR0 = 0x10;
const BAR_IO = 1;
const BAR_PREFETCHABLE = 8;
const BARS = 2;

/** 00:00.0, an Intel 440FX host bridge. */
const HOST_BRIDGE = { slot: 0, vendor: 0x8086, device: 0x1237, classCode: 0x060000, revision: 2 } as const;
/** 00:03.0, "XenSource, Inc. Xen Platform Device" (xen/include/public/hvm/pvdrivers.h, qemu's hw/i386/xen). */
const XEN_PLATFORM = { slot: 3, vendor: 0x5853, device: 0x0001, classCode: 0xff8000, revision: 1 } as const;
const PLATFORM_IO = { address: 0xc000, bytes: 0x100 } as const;
export const PLATFORM_MEMORY_BYTES = 16 * 1024 * 1024;

interface Bar {
  /** Flags in the low bits. */
  value: number;
  readonly flags: number;
  readonly bytes: number;
}

interface PciFunction {
  readonly slot: number;
  readonly config: DataView;
  readonly bars: readonly Bar[];
}

export interface SavedPci {
  readonly address: number;
  /** Of each function: command register, interrupt line, base addresses. */
  readonly functions: readonly (readonly number[])[];
}

export class Pci {
  readonly #functions: readonly PciFunction[];
  #address = 0;

  /** `memory`: where the platform device's memory is at first. */
  constructor(memory: number, saved?: SavedPci) {
    this.#functions = [
      pciFunction(HOST_BRIDGE, []),
      pciFunction(XEN_PLATFORM, [
        { value: PLATFORM_IO.address | BAR_IO, flags: BAR_IO, bytes: PLATFORM_IO.bytes },
        { value: memory | BAR_PREFETCHABLE, flags: BAR_PREFETCHABLE, bytes: PLATFORM_MEMORY_BYTES },
      ]),
    ];
    if (saved === undefined) {
      // As firmware leaves it: the device's addresses are decoded.
      this.#functions[1]!.config.setUint16(COMMAND, 3, true);
      return;
    }
    this.#address = saved.address;
    for (const [i, { config, bars }] of this.#functions.entries()) {
      const [command = 0, line = 0, ...values] = saved.functions[i] ?? [];
      config.setUint16(COMMAND, command, true);
      config.setUint8(INTERRUPT_LINE, line);
      for (const [n, bar] of bars.entries()) bar.value = values[n] ?? bar.value;
    }
  }

  /** IN; undefined if the port is not the bus's. */
  read(port: number, size: number): number | undefined {
    if (port === PORTS.address && size === 4) return this.#address;
    if (port < PORTS.data || port >= PORTS.data + 4) return undefined;
    const value = this.#readConfig();
    const shifted = value >>> (8 * (port - PORTS.data));
    return size === 4 ? shifted : shifted & (2 ** (8 * size) - 1);
  }

  /** OUT; false if the port is not the bus's. */
  write(port: number, size: number, value: number): boolean {
    if (port === PORTS.address && size === 4) {
      this.#address = value >>> 0;
      return true;
    }
    if (port < PORTS.data || port >= PORTS.data + 4) return false;
    const register = (this.#address & (CONFIG_BYTES - 4)) + (port - PORTS.data);
    const target = this.#selected;
    if (target !== undefined) writeConfig(target, register, size, value);
    return true;
  }

  save(): SavedPci {
    return {
      address: this.#address,
      functions: this.#functions.map(({ config, bars }) => [
        config.getUint16(COMMAND, true),
        config.getUint8(INTERRUPT_LINE),
        ...bars.map(({ value }) => value),
      ]),
    };
  }

  get #selected(): PciFunction | undefined {
    if (!(this.#address & ENABLE)) return undefined;
    const busDeviceFunction = (this.#address >>> 8) & 0xffff;
    return this.#functions.find(({ slot }) => busDeviceFunction === slot << 3);
  }

  #readConfig(): number {
    const target = this.#selected;
    if (target === undefined) return NOBODY;
    const register = this.#address & (CONFIG_BYTES - 4);
    const bar = barAt(target, register);
    return bar === undefined ? target.config.getUint32(register, true) : bar.value >>> 0;
  }
}

function pciFunction(
  id: { slot: number; vendor: number; device: number; classCode: number; revision: number },
  bars: readonly Bar[],
): PciFunction {
  const config = new DataView(new ArrayBuffer(CONFIG_BYTES));
  config.setUint16(0, id.vendor, true);
  config.setUint16(2, id.device, true);
  config.setUint32(8, (id.classCode << 8) | id.revision, true);
  if (bars.length > 0) {
    config.setUint16(0x2c, id.vendor, true);
    config.setUint16(0x2e, id.device, true);
  }
  return { slot: id.slot, config, bars };
}

function barAt({ bars }: PciFunction, register: number): Bar | undefined {
  return register >= BAR0 && register < BAR0 + 4 * BARS ? bars[(register - BAR0) >> 2] : undefined;
}

function writeConfig(target: PciFunction, register: number, size: number, value: number): void {
  const { config } = target;
  if (register === COMMAND && size >= 2) config.setUint16(COMMAND, value & COMMAND_WRITABLE, true);
  if (register === INTERRUPT_LINE) config.setUint8(INTERRUPT_LINE, value & 0xff);
  const bar = size === 4 ? barAt(target, register) : undefined;
  // Of an address only the bits above the size of what it is of can be written.
  if (bar !== undefined) bar.value = ((value & -bar.bytes) | bar.flags) >>> 0;
}
