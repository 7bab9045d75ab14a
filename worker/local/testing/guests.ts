import { test } from "vitest";
import { pvKernel } from "../../../engine/loader/testing/build-elf.ts";
import { FixtureUnavailable, type PreparedFixture, prepareFixture } from "../../../r2-fixtures/index.ts";
import { UNLIMITED } from "../../testing/endless.ts";

/** A fixture, or undefined where this machine cannot get it; that is an error in CI, which must not pass by skipping. */
export async function availableFixture(name: string): Promise<PreparedFixture | undefined> {
  try {
    return await prepareFixture(name, { log: () => {} });
  } catch (error) {
    if (!(error instanceof FixtureUnavailable) || process.env.CI === "true") throw error;
    console.warn(`\n*** SKIPPING the tests with ${name}: ${error.message}\n`);
    return undefined;
  }
}

/** `test`, or a skipped test without the fixture. */
export function testWith(fixture: PreparedFixture | undefined): typeof test | typeof test.skip {
  return fixture === undefined ? test.skip : test;
}

const HLT = 0xf4;
const JMP_SELF = [0xeb, 0xfe];

/** A kernel that does nothing but jump to itself: with ENDLESS_CONFIG it runs until it is canceled, however fast the machine is. */
export function endlessKernel(): Uint8Array<ArrayBuffer> {
  const kernel = new Uint8Array(pvKernel());
  let jumps = 0;
  for (let at = 0; at + 1 < kernel.length; at++) {
    if (kernel[at] !== HLT || kernel[at + 1] !== HLT) continue;
    kernel.set(JMP_SELF, at);
    jumps++;
  }
  if (jumps === 0) throw new Error("the kernel does not halt");
  return kernel;
}

export const ENDLESS_CONFIG = { memory: 16, ...UNLIMITED } as const;

/** A little-endian ELF executable of so many bits, with one loadable segment and no notes. */
export function elfWithoutNotes(machine: number, bits: 32 | 64): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, machine, true);
  view.setUint32(20, 1, true);
  if (bits === 64) {
    view.setBigUint64(24, 0x100000n, true); // e_entry
    view.setBigUint64(32, 64n, true); // e_phoff
    view.setUint16(52, 64, true);
    view.setUint16(54, 56, true);
    view.setUint16(56, 1, true);
    view.setUint32(64, 1, true); // PT_LOAD
    view.setUint32(68, 5, true);
    view.setBigUint64(80, 0x100000n, true);
    view.setBigUint64(88, 0x100000n, true);
    view.setBigUint64(96, 4096n, true);
    view.setBigUint64(104, 4096n, true);
  } else {
    view.setUint32(24, 0x8000, true);
    view.setUint32(28, 52, true);
    view.setUint16(40, 52, true);
    view.setUint16(42, 32, true);
    view.setUint16(44, 1, true);
    view.setUint32(52, 1, true);
    view.setUint32(60, 0x8000, true);
    view.setUint32(64, 0x8000, true);
    view.setUint32(68, 4096, true);
    view.setUint32(72, 4096, true);
  }
  return bytes;
}

export const EM_X86_64 = 62;
export const EM_ARM = 40;

/** `elf` (64-bit) with its last loadable segment grown to `bytes` in memory. */
export function withLargeSegment(elf: Uint8Array, bytes: bigint): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(elf);
  const view = new DataView(copy.buffer);
  const headers = Number(view.getBigUint64(32, true));
  const size = view.getUint16(54, true);
  for (let index = view.getUint16(56, true) - 1; index >= 0; index--) {
    if (view.getUint32(headers + index * size, true) !== 1) continue;
    view.setBigUint64(headers + index * size + 40, bytes, true);
    return copy;
  }
  throw new Error("no loadable segment");
}
