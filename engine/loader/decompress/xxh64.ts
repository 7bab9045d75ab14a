/*
 * XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), of which zstd frames carry the low 32 bits. 64-bit numbers are
 * kept as two 32-bit halves: BigInt would take seconds for a kernel.
 */

interface U64 {
  low: number;
  high: number;
}

const PRIME1: U64 = { high: 0x9e3779b1, low: 0x85ebca87 };
const PRIME2: U64 = { high: 0xc2b2ae3d, low: 0x27d4eb4f };
const PRIME3: U64 = { high: 0x165667b1, low: 0x9e3779f9 };
const PRIME4: U64 = { high: 0x85ebca77, low: 0xc2b2ae63 };
const PRIME5: U64 = { high: 0x27d4eb2f, low: 0x165667c5 };
const STRIPE_BYTES = 32;

/** The upper 32 bits of the product of two 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  return (a1 * b1 + Math.floor(middle / 0x10000) + ((middle & 0xffff) + a0 * b1) / 0x10000) >>> 0;
}

function multiply(x: U64, low: number, high: number): void {
  const upper = multiplyHigh(x.low >>> 0, low) + Math.imul(x.low, high) + Math.imul(x.high, low);
  x.low = Math.imul(x.low, low);
  x.high = upper | 0;
}

function add(x: U64, low: number, high: number): void {
  const sum = (x.low >>> 0) + (low >>> 0);
  x.low = sum | 0;
  x.high = (x.high + high + (sum > 0xffffffff ? 1 : 0)) | 0;
}

function xor(x: U64, low: number, high: number): void {
  x.low ^= low;
  x.high ^= high;
}

function rotateLeft(x: U64, count: number): void {
  const { low, high } = x;
  if (count < 32) {
    x.high = (high << count) | (low >>> (32 - count));
    x.low = (low << count) | (high >>> (32 - count));
  } else {
    x.high = (low << (count - 32)) | (count === 32 ? 0 : high >>> (64 - count));
    x.low = (high << (count - 32)) | (count === 32 ? 0 : low >>> (64 - count));
  }
}

function xorShiftRight(x: U64, count: number): void {
  if (count < 32) xor(x, (x.low >>> count) | (x.high << (32 - count)), x.high >>> count);
  else xor(x, x.high >>> (count - 32), 0);
}

function round(lane: U64, low: number, high: number): void {
  const input = { low, high };
  multiply(input, PRIME2.low, PRIME2.high);
  add(lane, input.low, input.high);
  rotateLeft(lane, 31);
  multiply(lane, PRIME1.low, PRIME1.high);
}

const ROTATIONS = [1, 7, 12, 18];

/** XXH64 with seed 0, of bytes that come in pieces. */
export class Xxh64 {
  readonly #lanes: readonly U64[];
  /** Bytes of a stripe that is not whole yet. */
  readonly #rest = new Uint8Array(STRIPE_BYTES);
  #restLength = 0;
  #length = 0;

  constructor() {
    const first = { ...PRIME1 };
    add(first, PRIME2.low, PRIME2.high);
    const last = { low: 0, high: 0 };
    add(last, ~PRIME1.low + 1, ~PRIME1.high);
    this.#lanes = [first, { ...PRIME2 }, { low: 0, high: 0 }, last];
  }

  update(data: Uint8Array): void {
    this.#length += data.length;
    let at = 0;
    if (this.#restLength > 0) {
      at = Math.min(STRIPE_BYTES - this.#restLength, data.length);
      this.#rest.set(data.subarray(0, at), this.#restLength);
      this.#restLength += at;
      if (this.#restLength < STRIPE_BYTES) return;
      this.#stripes(this.#rest);
      this.#restLength = 0;
    }
    const whole = at + (data.length - at - ((data.length - at) % STRIPE_BYTES));
    this.#stripes(data.subarray(at, whole));
    this.#restLength = data.length - whole;
    this.#rest.set(data.subarray(whole));
  }

  /** The low 32 bits of the hash of what came so far. */
  get low(): number {
    const hash: U64 = this.#length >= STRIPE_BYTES ? this.#merged() : { ...PRIME5 };
    add(hash, this.#length | 0, Math.floor(this.#length / 2 ** 32));
    const view = new DataView(this.#rest.buffer);
    const end = this.#restLength;
    let at = 0;
    for (; at + 8 <= end; at += 8) {
      const word = { low: 0, high: 0 };
      round(word, view.getInt32(at, true), view.getInt32(at + 4, true));
      xor(hash, word.low, word.high);
      rotateLeft(hash, 27);
      multiply(hash, PRIME1.low, PRIME1.high);
      add(hash, PRIME4.low, PRIME4.high);
    }
    if (at + 4 <= end) {
      const word = { low: view.getInt32(at, true), high: 0 };
      multiply(word, PRIME1.low, PRIME1.high);
      xor(hash, word.low, word.high);
      rotateLeft(hash, 23);
      multiply(hash, PRIME2.low, PRIME2.high);
      add(hash, PRIME3.low, PRIME3.high);
      at += 4;
    }
    for (; at < end; at++) {
      const word = { low: this.#rest[at]!, high: 0 };
      multiply(word, PRIME5.low, PRIME5.high);
      xor(hash, word.low, word.high);
      rotateLeft(hash, 11);
      multiply(hash, PRIME1.low, PRIME1.high);
    }
    xorShiftRight(hash, 33);
    multiply(hash, PRIME2.low, PRIME2.high);
    xorShiftRight(hash, 29);
    multiply(hash, PRIME3.low, PRIME3.high);
    xorShiftRight(hash, 32);
    return hash.low >>> 0;
  }

  /** Takes in whole stripes. */
  #stripes(data: Uint8Array): void {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    for (let at = 0; at < data.length; at += STRIPE_BYTES) {
      for (let lane = 0; lane < 4; lane++) {
        const word = at + lane * 8;
        round(this.#lanes[lane]!, view.getInt32(word, true), view.getInt32(word + 4, true));
      }
    }
  }

  #merged(): U64 {
    const hash: U64 = { low: 0, high: 0 };
    for (let lane = 0; lane < 4; lane++) {
      const rotated = { ...this.#lanes[lane]! };
      rotateLeft(rotated, ROTATIONS[lane]!);
      add(hash, rotated.low, rotated.high);
    }
    for (const { low, high } of this.#lanes) {
      const merged = { low: 0, high: 0 };
      round(merged, low, high);
      xor(hash, merged.low, merged.high);
      multiply(hash, PRIME1.low, PRIME1.high);
      add(hash, PRIME4.low, PRIME4.high);
    }
    return hash;
  }
}
