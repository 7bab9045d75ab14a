import { FXSAVE_BYTES, MEMORY_BYTES, type VectorCase } from "./silicon.ts";

/** Deterministic random numbers (xorshift32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }

  u32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return Math.imul(x, 0x9e3779b1) >>> 0;
  }

  below(n: number): number {
    return this.u32() % n;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

const NASTY_64 = [
  0n,
  1n,
  0xffffffffffffffffn,
  0x8000000000000000n,
  0x7fffffffffffffffn,
  0x80n,
  0x7fn,
  0x8000n,
  0x7fffn,
  0x80008000800080n,
  0xff00ff00ff00ff00n,
  0x8080808080808080n,
  0x7f7f7f7f7f7f7f7fn,
  0x8000800080008000n,
  0x8000000080000000n,
] as const;

const NASTY_F32 = [
  0, 0x80000000, 1, 0x80000001, 0x7fffff, 0x807fffff, 0x800000, 0x80800000, 0x3f800000, 0xbf800000,
  0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0xffa12345, 0x4f000000,
  0xcf000000, 0x4effffff, 0x5f000000, 0x3f000000, 0x3fc00000, 0x40200000, 0x4b000001, 0x00ffffff, 0x01000000,
] as const;

const NASTY_F64 = [
  0n,
  0x8000000000000000n,
  1n,
  0x8000000000000001n,
  0xfffffffffffffn,
  0x10000000000000n,
  0x8010000000000000n,
  0x3ff0000000000000n,
  0xbff0000000000000n,
  0x7fefffffffffffffn,
  0xffefffffffffffffn,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0xfff8000000000001n,
  0x7ff0000000000001n,
  0xfff4000000012345n,
  0x41e0000000000000n,
  0xc1e0000000000000n,
  0x41dfffffffe00000n,
  0x43e0000000000000n,
  0xc3e0000000000000n,
  0x3fe0000000000000n,
  0x3ff8000000000000n,
  0x4004000000000000n,
  0x36a0000000000000n,
  0x380fffffffffffffn,
  0x3690000000000001n,
  0x47efffffefffffffn,
  0x47f0000000000000n,
  0x380fffffe0000000n,
] as const;

/** A 32-bit floating-point number: a nasty one, or random with an exponent that meets others. */
function float32(random: Random): number {
  switch (random.below(6)) {
    case 5: // sums with these are often halfway between two numbers
      return (
        ((random.u32() & 0x80000000) |
          (random.pick([127, 126, 104, 103, 102, 101]) << 23) |
          (random.below(4) << 21)) >>>
        0
      );
    case 0:
      return random.pick(NASTY_F32);
    case 1:
      return random.u32();
    case 2: // few significant bits
      return (
        ((random.u32() & 0x80000000) | ((120 + random.below(16)) << 23) | (random.below(16) << 19)) >>> 0
      );
    case 3: // tiny
      return ((random.u32() & 0x80ffffff) | (random.below(3) << 23)) >>> 0;
    default:
      return ((random.u32() & 0x807fffff) | ((100 + random.below(60)) << 23)) >>> 0;
  }
}

function float64(random: Random): bigint {
  const bits = random.u64();
  const sign = bits & 0x8000000000000000n;
  const fraction = bits & 0xfffffffffffffn;
  switch (random.below(7)) {
    case 6: // sums with these are often halfway between two numbers
      return (
        sign |
        (BigInt(random.pick([1023, 1022, 971, 970, 969, 968])) << 52n) |
        (BigInt(random.below(4)) << 50n)
      );
    case 0:
      return random.pick(NASTY_F64);
    case 1:
      return bits;
    case 2:
      return sign | (BigInt(1016 + random.below(16)) << 52n) | (BigInt(random.below(16)) << 48n);
    case 3:
      return sign | (BigInt(random.below(60)) << 52n) | fraction;
    case 4: // near the limits of 32-bit numbers
      return sign | (BigInt(random.pick([873, 874, 895, 896, 897, 1149, 1150, 1151])) << 52n) | fraction;
    default:
      return sign | (BigInt(990 + random.below(80)) << 52n) | fraction;
  }
}

export type Values = "integer" | "single" | "double" | "any";

/** 8 bytes of the given kind. */
function value64(random: Random, values: Values): bigint {
  switch (values) {
    case "single":
      return (BigInt(float32(random)) << 32n) | BigInt(float32(random));
    case "double":
      return float64(random);
    case "integer":
      return random.below(3) === 0 ? random.pick(NASTY_64) : random.u64();
    default:
      return value64(random, random.pick(["integer", "single", "double"] as const));
  }
}

/** A normal, random or special 80-bit number into 10 bytes. */
function extended(random: Random, view: DataView, at: number): void {
  let significand = random.u64() | 0x8000000000000000n;
  let signExponent = (random.u32() & 0x8000) | (16383 - 70 + random.below(140));
  switch (random.below(12)) {
    case 6: // sums with these are often halfway between two numbers, at every precision
      significand = (1n << 63n) | (BigInt(random.below(4)) << 61n);
      signExponent =
        (signExponent & 0x8000) | (16383 - random.pick([0, 1, 23, 24, 25, 52, 53, 54, 63, 64, 65]));
      break;
    case 7: // NaNs, quiet and signalling
      significand = (1n << 63n) | (BigInt(random.below(4)) << 61n) | BigInt(1 + random.below(2));
      signExponent |= 0x7fff;
      break;
    case 0: {
      const special: [bigint, number] = random.pick([
        [0n, 0],
        [0n, 0x8000],
        [1n << 63n, 0x7fff],
        [1n << 63n, 0xffff],
        [3n << 62n, 0xffff],
        [0xa123456789abcdefn, 0x7fff],
        [0xc123456789abcdefn, 0x7fff],
        [0xd123456789abcdefn, 0xffff],
        [1n << 63n, 0x3fff],
        [1n << 63n, 0xbfff],
        [1n, 0],
        [0x7fffffffffffffffn, 0x8000],
        [1n << 63n, 0],
        [1n << 63n, 1],
        [0xffffffffffffffffn, 0x7ffe],
        [0x1234n, 0x4000],
        [0n, 0x7fff],
        [1n << 63n, 0x403e],
        [1n << 63n, 0xc03e],
        [0xffffffffffffffffn, 0x403d],
        [1n << 63n, 0x401e],
      ] as [bigint, number][]);
      significand = special[0];
      signExponent = special[1];
      break;
    }
    case 1: // few bits
      significand = (1n << 63n) | (BigInt(random.below(256)) << 55n);
      signExponent = (signExponent & 0x8000) | (16383 - 8 + random.below(20));
      break;
    case 2: // tiny or denormal
      signExponent = (signExponent & 0x8000) | random.below(4);
      if ((signExponent & 0x7fff) === 0) significand = random.u64() >> BigInt(random.below(64));
      break;
    case 3: // huge
      signExponent = (signExponent & 0x8000) | (0x7ffe - random.below(3));
      break;
    case 4: // near the limits of the 32-bit and 64-bit formats
      signExponent =
        (signExponent & 0x8000) |
        (16383 + random.pick([-150, -149, -127, -126, 127, 128, -1075, -1074, -1023, -1022, 1023, 1024]));
      if (random.below(2)) significand = ~0n & 0xffffffffffffffffn;
      break;
    case 5: // a double or single
      significand &= random.below(2) ? 0xfffffffffffff800n : 0xffffff0000000000n;
      break;
    default:
  }
  view.setBigUint64(at, significand, true);
  view.setUint16(at + 8, signExponent, true);
}

export interface CaseOptions {
  readonly values: Values;
  /** MXCSR values to choose from; default: the reset value, with flags, rounding modes, DAZ and FTZ at random. */
  readonly mxcsr?: () => number;
  /** x87 control word; default 0x37f. */
  readonly fcw?: () => number;
  /** x87 status word; default TOP at random, condition codes at random. */
  readonly fsw?: () => number;
  /** Abridged tag word; default all valid. */
  readonly ftw?: () => number;
  readonly offset?: number;
}

/** MXCSR with random modes and flags; some exceptions unmasked one time in four. */
export function randomMxcsr(random: Random): number {
  const masks = random.below(4) === 0 ? random.u32() & 0x1f80 : 0x1f80;
  const modes = random.below(2) === 0 ? random.u32() & 0xe040 : 0;
  return (
    masks | modes | (random.below(2) === 0 ? 0x20 : 0) | (random.below(4) === 0 ? random.u32() & 0x3f : 0)
  );
}

/** A case with random state around the given instruction bytes. */
export function makeCase(random: Random, code: readonly number[], options: CaseOptions): VectorCase {
  const fx = new Uint8Array(FXSAVE_BYTES);
  const view = new DataView(fx.buffer);
  view.setUint16(0, options.fcw?.() ?? 0x37f, true);
  view.setUint16(2, options.fsw?.() ?? random.u32() & 0x7f00, true);
  view.setUint8(4, options.ftw?.() ?? 0xff);
  view.setUint32(24, options.mxcsr?.() ?? randomMxcsr(random), true);
  view.setUint32(28, 0xffff, true);
  for (let i = 0; i < 8; i++) extended(random, view, 32 + 16 * i);
  for (let i = 0; i < 32; i++) view.setBigUint64(160 + 8 * i, value64(random, options.values), true);
  // Some operands equal each other.
  if (random.below(8) === 0) fx.copyWithin(176, 160, 176);
  const memory = new Uint8Array(MEMORY_BYTES);
  const words = new DataView(memory.buffer);
  for (let i = 0; i < MEMORY_BYTES; i += 8) words.setBigUint64(i, value64(random, options.values), true);
  const regs = [0, 1, 2, 3, 4].map(() => value64(random, "any"));
  regs.push(0n, BigInt((random.u32() & 0x8d5) | 0x202));
  return { code, offset: options.offset ?? random.below(4) * 16, regs, fx, memory };
}
