/**
 * emu's rules about pages, checked from outside by walking machine memory: what may stand in a page table or a
 * descriptor table, and that every reference is counted. Written from abi.ts and the rules, not from emu's code.
 */

import type { PhysicalMemory } from "../../cpu/types.ts";
import {
  type EmuRegion,
  HYPERVISOR_L4_SLOT,
  HYPERVISOR_LAST_L4_SLOT,
  MAP_32,
  MAX_GRANT_FRAMES,
} from "../../xenner/abi.ts";

/** emu.h: enum page_type and the layout of page_info. */
const NONE = 0;
const L1 = 1;
const L3 = 3;
const L4 = 4;
/** Of a 32-bit guest: the L2 of the highest GiB, which ends with the hypervisor's entries. */
const L2_TOP = 4;
const DESCRIPTORS = 5;
const WRITABLE = 6;
const COUNT_MASK = 0xffffff;
const TYPE_SHIFT = 24;
const PINNED = 1 << 28;
const RELEASED = 1 << 29;

const PRESENT = 1n;
const WRITE = 2n;
const USER = 4n;
const REFUSED_IN_L1 = 0x98n; // PWT, PCD, PAT
const REFUSED_ABOVE = 0x198n; // and PS, G
/** PAE: reserved bits, and those of an L3 besides. */
const REFUSED_IN_PAE = 0x7ff0000000000000n;
const REFUSED_IN_L3 = 0x80000000000001e6n;
const SEGMENT = 1n << 44n;
const DESCRIPTOR_PRESENT = 1n << 47n;

export interface PageRules {
  readonly memory: PhysicalMemory;
  readonly region: EmuRegion;
  readonly ramPages: number;
  readonly descriptorL1: number;
  readonly slot256: bigint;
  /** Of a 32-bit guest: the hypervisor's entries of an L2 of the highest GiB. */
  readonly pae?: readonly bigint[];
}

/** What is broken, one line each; empty if the rules hold. emu must not be in the middle of a change. */
export function brokenRules(rules: PageRules): string[] {
  const { memory, region, ramPages, descriptorL1, slot256, pae } = rules;
  const broken: string[] = [];
  const info = new Uint32Array(memory.read(region.pageInfo, ramPages * 4).buffer);
  const type = (mfn: number) => (info[mfn]! >> TYPE_SHIFT) & 15;
  const count = (mfn: number) => info[mfn]! & COUNT_MASK;
  const entries = (mfn: number) => new BigUint64Array(memory.read(mfn * 4096, 4096).buffer);
  const found = new Uint32Array(ramPages);
  const refer = (mfn: number, as: number, from: string) => {
    if (mfn >= ramPages) broken.push(`${from} refers to page ${mfn}, which is not RAM`);
    else if (type(mfn) !== as || count(mfn) === 0)
      broken.push(`${from} uses page ${mfn} as ${as}; it is ${type(mfn)}, ${count(mfn)} times`);
    else found[mfn]! += 1;
  };
  const isShared = (mfn: number) =>
    mfn === region.sharedInfo / 4096 ||
    (mfn >= region.grantFrames / 4096 && mfn < region.grantFrames / 4096 + MAX_GRANT_FRAMES);

  const checkEntry = (level: number, index: number, entry: bigint, from: string) => {
    const mfn = Number((entry & 0x000ffffffffff000n) >> 12n);
    if (pae === undefined && (entry & USER) === 0n) broken.push(`${from} is not for ring 3`);
    if ((entry & refusedBits(level, pae !== undefined)) !== 0n) broken.push(`${from} has bad bits`);
    if (level > L1) refer(mfn, pae === undefined ? level - 1 : below(level, index), from);
    else if (isShared(mfn)) return;
    else if ((entry & WRITE) !== 0n) refer(mfn, WRITABLE, from);
    else if (mfn >= ramPages) broken.push(`${from} shows page ${mfn}, which is not the guest's`);
  };

  for (let mfn = 0; mfn < ramPages; mfn++) {
    if (count(mfn) === 0) {
      if (type(mfn) !== NONE || (info[mfn]! & PINNED) !== 0) broken.push(`page ${mfn} is typed but not used`);
      continue;
    }
    if ((info[mfn]! & RELEASED) !== 0) broken.push(`page ${mfn} is released and used`);
    if ((info[mfn]! & PINNED) !== 0) found[mfn]! += 1;
    const level = type(mfn);
    if (level === DESCRIPTORS) {
      for (const descriptor of entries(mfn)) {
        if ((descriptor & DESCRIPTOR_PRESENT) === 0n) continue;
        const isGood = pae === undefined ? ((descriptor >> 45n) & 3n) === 3n : staysOutOfEmu(descriptor);
        if ((descriptor & SEGMENT) === 0n || !isGood)
          broken.push(`page ${mfn} has descriptor ${descriptor.toString(16)}`);
      }
    } else if (level >= L1 && level <= L4) {
      for (const [index, entry] of entries(mfn).entries()) {
        const from = `L${level} ${mfn}[${index}]`;
        if (pae !== undefined && level === L3 && index > 3) continue;
        if (pae !== undefined && level === L2_TOP && index >= MAP_32.HYPERVISOR_L2_SLOT) {
          const expected = pae[index - MAP_32.HYPERVISOR_L2_SLOT]!;
          if ((entry | 0x60n) !== (expected | 0x60n)) broken.push(`${from} is ${entry.toString(16)}`);
        } else if (
          pae === undefined &&
          level === L4 &&
          index >= HYPERVISOR_L4_SLOT &&
          index <= HYPERVISOR_LAST_L4_SLOT
        ) {
          // The processor may have marked the hypervisor's entry accessed.
          const expected = index === HYPERVISOR_L4_SLOT ? slot256 : 0n;
          if ((entry | 0x20n) !== (expected | 0x20n) && entry !== expected)
            broken.push(`${from} is ${entry.toString(16)}`);
        } else if ((entry & PRESENT) !== 0n) checkEntry(level, index, entry, from);
      }
    }
  }
  // The GDT and LDT windows: 14 guest pages, emu's own, and 16 for the LDT.
  for (const [index, entry] of entries(descriptorL1 / 4096).entries()) {
    const mfn = Number((entry & 0x000ffffffffff000n) >> 12n);
    // Behind them are emu32pae's views of whatever page.
    if (index >= WINDOWS) break;
    if ((entry & PRESENT) !== 0n && mfn < ramPages) refer(mfn, DESCRIPTORS, `descriptor window ${index}`);
  }
  broken.push(...uncounted(info, found, pae === undefined ? L4 : L3));
  return broken;
}

/** Entries of the descriptor windows' L1: GDT, emu's own page, a gap, LDT. */
const WINDOWS = 32;

function refusedBits(level: number, pae: boolean): bigint {
  if (!pae) return level === L1 ? REFUSED_IN_L1 | 0x100n : REFUSED_ABOVE;
  if (level === L1) return REFUSED_IN_PAE | REFUSED_IN_L1;
  return REFUSED_IN_PAE | REFUSED_ABOVE | (level === L3 ? REFUSED_IN_L3 : 0n);
}

/** The type of what an entry of a 32-bit guest's table refers to. */
function below(level: number, index: number): number {
  if (level === L3) return index === 3 ? L2_TOP : L3 - 1;
  return L1;
}

/** Ring 1 to 3, and no byte at MAP_32.M2P_VIRTUAL_END or above. SDM vol. 3A 3.4.5. */
function staysOutOfEmu(descriptor: bigint): boolean {
  const bit = (n: bigint): boolean => ((descriptor >> n) & 1n) !== 0n;
  if (((descriptor >> 45n) & 3n) === 0n || bit(53n)) return false;
  const base = ((descriptor >> 16n) & 0xffffffn) | ((descriptor >> 32n) & 0xff000000n);
  const units = (descriptor & 0xffffn) | ((descriptor >> 32n) & 0xf0000n);
  const limit = bit(55n) ? (units << 12n) | 0xfffn : units;
  const end = BigInt(MAP_32.M2P_VIRTUAL_END);
  const isExpandDown = !bit(43n) && bit(42n);
  if (!isExpandDown) return base + limit < end;
  const first = base + limit + 1n;
  return limit === 0xffffffffn || (first >= 0x1_0000_0000n && base <= end);
}

/** Counts that no reference explains. emu itself holds the two current L4s and the page of a registered vcpu_info. */
function uncounted(info: Uint32Array, found: Uint32Array, top: number): string[] {
  const broken: string[] = [];
  const allowed = new Map([
    [top, top === L4 ? 2 : 1],
    [WRITABLE, 1],
  ]);
  for (const [mfn, word] of info.entries()) {
    const type = (word >> TYPE_SHIFT) & 15;
    const extra = (word & COUNT_MASK) - found[mfn]!;
    if (extra === 0) continue;
    const left = (allowed.get(type) ?? 0) - extra;
    allowed.set(type, left);
    if (extra < 0 || left < 0)
      broken.push(`page ${mfn} of type ${type} is counted ${word & COUNT_MASK} times, ${found[mfn]} found`);
  }
  return broken;
}
