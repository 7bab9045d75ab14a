import { StreamError } from "./stream-error.ts";

/* Finite State Entropy tables: RFC 8878, 4.1. */

/** Bits read from the end of a range towards its start, as zstd's entropy-coded streams are. */
export class ReverseBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  /** Bits that are left; negative once more were read than there are (they read as zero). */
  left: number;

  /** The range [start, end) of `bytes`; its last byte ends with a 1 that marks the beginning. */
  constructor(bytes: Uint8Array, start: number, end: number) {
    const last = end > start ? bytes[end - 1]! : 0;
    if (last === 0) throw new StreamError("an entropy-coded stream is empty or has no end mark", start);
    this.#bytes = bytes;
    this.#start = start;
    this.left = (end - start) * 8 - (Math.clz32(last) - 23);
  }

  /** The next `count` bits (at most 24) without taking them. */
  peek(count: number): number {
    const from = this.left - count;
    if (from >= 0) return (this.#word(from) >>> (from & 7)) & ((1 << count) - 1);
    const available = this.left > 0 ? this.#word(0) & ((1 << this.left) - 1) : 0;
    return (available << Math.min(-from, 31)) & ((1 << count) - 1);
  }

  take(count: number): number {
    const value = this.peek(count);
    this.left -= count;
    return value;
  }

  /** Four bytes from the one that holds bit `bit`; what lies behind the range is masked off by the caller. */
  #word(bit: number): number {
    const at = this.#start + (bit >>> 3);
    const bytes = this.#bytes;
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  }
}

/** A decoding table: in each state a symbol, and the next state as a base plus some bits. */
export interface FseTable {
  readonly accuracyLog: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** The table that always gives `symbol`. */
export function singleSymbolTable(symbol: number): FseTable {
  return {
    accuracyLog: 0,
    symbols: Uint8Array.of(symbol),
    bits: Uint8Array.of(0),
    bases: Uint16Array.of(0),
  };
}

/** Builds the table for normalised probabilities (-1: less than one), RFC 8878, 4.1.1 "From Normalized Distribution". */
export function buildFseTable(probabilities: readonly number[], accuracyLog: number): FseTable {
  const size = 1 << accuracyLog;
  const symbols = new Uint8Array(size);
  const next = new Uint16Array(probabilities.length);
  let highest = size;
  for (const [symbol, probability] of probabilities.entries()) {
    if (probability === -1) {
      symbols[--highest] = symbol;
      next[symbol] = 1;
    }
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let position = 0;
  for (const [symbol, probability] of probabilities.entries()) {
    if (probability <= 0) continue;
    next[symbol] = probability;
    for (let i = 0; i < probability; i++) {
      symbols[position] = symbol;
      do position = (position + step) & (size - 1);
      while (position >= highest);
    }
  }
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const occurrence = next[symbols[state]!]!++;
    bits[state] = accuracyLog - (31 - Math.clz32(occurrence));
    bases[state] = (occurrence << bits[state]!) - size;
  }
  return { accuracyLog, symbols, bits, bases };
}

/**
 * Reads a table description at input [start, end); returns the table and the offset behind it.
 *
 * @throws StreamError if it is malformed, or has more symbols than `maxSymbol` or more accuracy than `maxAccuracy`
 */
export function readFseTable(
  input: Uint8Array,
  start: number,
  end: number,
  maxSymbol: number,
  maxAccuracy: number,
): { table: FseTable; next: number } {
  let bit = 0;
  const peek = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++) {
      const at = start + ((bit + i) >>> 3);
      if (at < end) value |= ((input[at]! >>> ((bit + i) & 7)) & 1) << i;
    }
    return value;
  };
  const take = (count: number): number => {
    const value = peek(count);
    bit += count;
    if (bit > (end - start) * 8) throw new StreamError("a table description is cut off", start);
    return value;
  };
  const accuracyLog = take(4) + 5;
  if (accuracyLog > maxAccuracy) throw new StreamError("a table is too accurate", start);
  const probabilities: number[] = [];
  let remaining = 1 << accuracyLog;
  while (remaining > 0) {
    if (probabilities.length > maxSymbol) throw new StreamError("a table has too many symbols", start);
    // Values that cannot occur any more shorten the code of the smallest ones by a bit.
    const bits = 32 - Math.clz32(remaining + 1);
    const threshold = (1 << bits) - 1 - (remaining + 1);
    const mask = (1 << (bits - 1)) - 1;
    let value = peek(bits);
    if ((value & mask) < threshold) {
      value = take(bits - 1);
    } else {
      take(bits);
      if (value > mask) value -= threshold;
    }
    const probability = value - 1;
    remaining -= Math.abs(probability);
    probabilities.push(probability);
    for (let repeats = probability === 0 ? 3 : 0; repeats === 3; ) {
      repeats = take(2);
      for (let i = 0; i < repeats; i++) probabilities.push(0);
    }
  }
  if (remaining < 0 || probabilities.length > maxSymbol + 1) {
    throw new StreamError("a table's probabilities do not add up", start);
  }
  return { table: buildFseTable(probabilities, accuracyLog), next: start + ((bit + 7) >>> 3) };
}
