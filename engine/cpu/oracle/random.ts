// Our own seeded random source (sfc32) and the values that break processors. Nothing here depends on the platform, so a
// seed names the same cases everywhere.

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = stream | 0;
    this.#c = 0x9e3779b9 | 0;
    for (let i = 0; i < 16; i++) this.u32();
  }

  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    this.#c |= 0;
    return t >>> 0;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  /** 0 <= result < n */
  below(n: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * n);
  }

  chance(probability: number): boolean {
    return this.u32() < probability * 0x1_0000_0000;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  fill(into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.u32() >>> 24;
  }
}

const EDGES: readonly bigint[] = [
  0n,
  1n,
  2n,
  7n,
  8n,
  0x0fn,
  0x10n,
  0x1fn,
  0x20n,
  0x3fn,
  0x40n,
  0x7fn,
  0x80n,
  0xffn,
  0x100n,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x10000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffffn,
  0x8000_0000_0000n,
  0xffff_8000_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ff80n,
  0xffff_ffff_8000_0000n,
  0xffff_ffff_ffff_8000n,
  0xffff_ffff_ffff_fffen,
  0xffff_ffff_ffff_ffffn,
  0x5555_5555_5555_5555n,
  0xaaaa_aaaa_aaaa_aaaan,
  0x0099_9999_9999_9999n,
];

const U64 = 0xffff_ffff_ffff_ffffn;

/** A 64-bit integer, as often as not one at which something changes. */
export function nastyInteger(r: Random): bigint {
  switch (r.below(6)) {
    case 0:
      return r.u64();
    case 1:
      return BigInt(r.below(256));
    case 2:
      return 1n << BigInt(r.below(64));
    case 3:
      return ((1n << BigInt(r.below(64))) - 1n + BigInt(r.below(3))) & U64;
    case 4:
      return -BigInt(r.below(300)) & U64;
    default:
      return r.pick(EDGES);
  }
}

const EDGES_F32: readonly number[] = [
  0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x40000000, 0x3f000000, 0x00000001, 0x807fffff, 0x00800000,
  0x80800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xffbfffff,
  0x7fffffff, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0xdf000000, 0x3effffff, 0x3f7fffff, 0x40490fdb,
  0x4b000001, 0x34000000, 0x4b7fffff,
];

/** A single-precision bit pattern. */
export function nastyF32(r: Random): number {
  switch (r.below(5)) {
    case 0:
      return r.u32();
    case 1:
      return r.pick(EDGES_F32);
    case 2: // near 1, so that operations meet
      return ((r.below(2) << 31) | ((120 + r.below(16)) << 23) | r.below(1 << 23)) >>> 0;
    case 3: // few significant bits: exact and halfway results
      return ((r.below(2) << 31) | ((120 + r.below(40)) << 23) | (r.below(16) << 19)) >>> 0;
    default: // the smallest normals and the denormals
      return (
        ((r.below(2) << 31) | (r.below(3) << 23) | (r.chance(0.5) ? r.below(4) : r.below(1 << 23))) >>> 0
      );
  }
}

const EDGES_F64: readonly bigint[] = [
  0x0000000000000000n,
  0x8000000000000000n,
  0x3ff0000000000000n,
  0xbff0000000000000n,
  0x4000000000000000n,
  0x3fe0000000000000n,
  0x0000000000000001n,
  0x800fffffffffffffn,
  0x0010000000000000n,
  0x7fefffffffffffffn,
  0xffefffffffffffffn,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0xfff8000000000000n,
  0x7ff0000000000001n,
  0xfff7ffffffffffffn,
  0x7fffffffffffffffn,
  0x41e0000000000000n,
  0xc1e0000000000000n,
  0x41dfffffffc00000n,
  0x41efffffffe00000n,
  0x43e0000000000000n,
  0xc3e0000000000000n,
  0x43dfffffffffffffn,
  0x3fdfffffffffffffn,
  0x400921fb54442d18n,
  0x4330000000000001n,
  0x47efffffe0000000n,
  0x47efffffefffffffn,
  0x3810000000000000n,
  0x380fffffffffffffn,
  0x36a0000000000000n,
  0x3690000000000001n,
];

/** A double-precision bit pattern. */
export function nastyF64(r: Random): bigint {
  const sign = BigInt(r.below(2)) << 63n;
  switch (r.below(6)) {
    case 0:
      return r.u64();
    case 1:
      return r.pick(EDGES_F64);
    case 2:
      return sign | (BigInt(1016 + r.below(16)) << 52n) | (r.u64() >> 12n);
    case 3:
      return sign | (BigInt(1016 + r.below(70)) << 52n) | (BigInt(r.below(16)) << 48n);
    case 4: // around the limits of single precision, for conversions
      return sign | (BigInt((r.chance(0.5) ? 0x36a : 0x47e) + r.below(40) - 4) << 52n) | (r.u64() >> 12n);
    default:
      return sign | (BigInt(r.below(3)) << 52n) | (r.chance(0.5) ? BigInt(r.below(4)) : r.u64() >> 12n);
  }
}

const SIGNIFICANDS: readonly bigint[] = [
  0n,
  1n,
  0x8000000000000000n,
  0x8000000000000001n,
  0xc000000000000000n,
  0xffffffffffffffffn,
  0x7fffffffffffffffn,
  0x4000000000000000n,
  0xfffffffffffff800n,
  0xfffffffffffffbffn,
  0xffffff0000000000n,
  0xffffff7fffffffffn,
  0xa000000000000001n,
];
const EXPONENTS: readonly number[] = [
  0, 1, 2, 0x3fff, 0x3ffe, 0x4000, 0x7ffe, 0x7fff, 0x401e, 0x403e, 0x403f, 0x403d, 0x43fe, 0x3c01, 0x3bcc,
  0x407e,
];

/** An 80-bit extended-precision value, all classes of SDM vol. 1 table 4-4 and 8-3 included, written as 10 bytes. */
export function nastyF80(r: Random, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, 10);
  let significand = r.chance(0.4) ? r.pick(SIGNIFICANDS) : r.u64();
  if (r.chance(0.8)) significand |= 1n << 63n;
  let exponent = r.pick(EXPONENTS);
  const how = r.below(4);
  if (how === 0) exponent = r.below(0x8000);
  else if (how === 1) exponent = 0x3fff - 8 + r.below(80);
  if (r.chance(0.08)) {
    exponent = 0;
    significand = 0n;
  }
  view.setBigUint64(0, significand, true);
  view.setUint16(8, exponent | (r.below(2) << 15), true);
}

/** 16 bytes of an XMM register: integers, singles or doubles. */
export function nastyVector(r: Random, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, 16);
  switch (r.below(5)) {
    case 0:
      r.fill(into.subarray(0, 16));
      break;
    case 1: // bytes near the limits of saturation
      for (let i = 0; i < 16; i++) into[i] = r.pick([0, 1, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff, r.below(256)]);
      break;
    case 2:
      for (let i = 0; i < 4; i++) view.setUint32(4 * i, nastyF32(r), true);
      break;
    case 3:
      for (let i = 0; i < 2; i++) view.setBigUint64(8 * i, nastyF64(r), true);
      break;
    default:
      for (let i = 0; i < 2; i++) view.setBigUint64(8 * i, nastyInteger(r), true);
  }
}
