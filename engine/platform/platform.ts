/** What a machine has around its processor: interrupt controllers, timers, ports. Its state depends on guest time only. */
export interface Platform {
  /** The vector that the interrupt controllers have for the processor. */
  readonly pending: number | undefined;
  /** When its next timer fires, in ns of guest time. */
  readonly deadline: number | undefined;
  /** The processor took that vector. */
  acknowledge(vector: number): void;
  /** Fires timers whose time has come. */
  advance(now: number): void;
  /** The hypervisor interrupts the processor through its local APIC. */
  request(vector: number): void;
  /** RDMSR; undefined is #GP. */
  readMsr(msr: number, now: number): bigint | undefined;
  /** WRMSR; false is #GP. */
  writeMsr(msr: number, value: bigint, now: number): boolean;
  /** IN of 1, 2 or 4 bytes. */
  read(port: number, size: number, now: number): number;
  /** OUT. */
  write(port: number, size: number, value: number, now: number): void;
  /** A read of 32 bits from a page of registers; `address` is a multiple of 4. */
  readMemory(address: number, now: number): number;
  writeMemory(address: number, value: number, now: number): void;
  /**
   * Console input. False if no device of the platform is waiting for any; `isAlone`: nobody else is, so that one which may be
   * looked at without interrupts gets it, too.
   */
  input(bytes: Uint8Array, isAlone?: boolean): boolean;
}

/** What a platform leads to. */
export interface PlatformSinks {
  /** Output for the job's console. */
  print(bytes: Uint8Array): void;
  powerOff(): void;
  reset(): void;
  nmi(): void;
}

/** What reads from a port or an address that nothing is behind, for a read of so many bytes. */
export function floating(size: number): number {
  return size === 4 ? 0xffffffff : 2 ** (8 * size) - 1;
}

export const APIC_BASE_MSR = 0x1b;
/** Xen's port for text before there is a console. */
export const DEBUG_PORT = 0xe9;
