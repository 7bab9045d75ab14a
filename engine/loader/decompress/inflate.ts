import type { Input } from "./input.ts";
import type { Output } from "./output.ts";
import { StreamError } from "./stream-error.ts";

/*
 * DEFLATE (RFC 1951). A library would do but for its worst case: general inflaters build tables of 2^15 entries for each
 * block, and a stream can have a block every 20 bytes. The tables here are small, so that time is bounded by the bytes
 * that go in and come out.
 */

const LONGEST_CODE = 15;
/** Codes up to this length are decoded by one look-up. */
const FAST_BITS = 10;
const FAST_MASK = (1 << FAST_BITS) - 1;
const END_OF_BLOCK = 256;
const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
  227, 258,
];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
  6145, 8193, 12289, 16385, 24577,
];
/** Order in which the lengths of the code-length code are stored (3.2.7). */
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A canonical Huffman code. */
class Code {
  /** By the next FAST_BITS bits: symbol << 4 | length; 0 if the code is longer or unused. */
  readonly #fast = new Uint16Array(1 << FAST_BITS);
  readonly #counts = new Uint16Array(LONGEST_CODE + 1);
  readonly #symbols = new Uint16Array(288);

  /** Takes `count` code lengths from `lengths` at `from`. False if they describe no prefix code. */
  build(lengths: Uint8Array, from: number, count: number): boolean {
    const counts = this.#counts.fill(0);
    for (let i = 0; i < count; i++) counts[lengths[from + i]!]!++;
    counts[0] = 0;
    const firstSymbol = new Uint16Array(LONGEST_CODE + 2);
    const nextCode = new Uint16Array(LONGEST_CODE + 2);
    let code = 0;
    for (let length = 1; length <= LONGEST_CODE; length++) {
      nextCode[length] = code;
      code += counts[length]!;
      if (code > 1 << length) return false;
      code <<= 1;
      firstSymbol[length + 1] = firstSymbol[length]! + counts[length]!;
    }
    this.#fast.fill(0);
    for (let symbol = 0; symbol < count; symbol++) {
      const length = lengths[from + symbol]!;
      if (length === 0) continue;
      this.#symbols[firstSymbol[length]!++] = symbol;
      const reversed = reverseBits(nextCode[length]!++, length);
      if (length > FAST_BITS) continue;
      for (let i = reversed; i <= FAST_MASK; i += 1 << length) this.#fast[i] = (symbol << 4) | length;
    }
    return true;
  }

  /** Symbol << 4 | length of the code that `bits` begin with (first bit lowest); -1 if there is none. */
  decode(bits: number): number {
    const entry = this.#fast[bits & FAST_MASK]!;
    return entry !== 0 ? entry : this.#decodeLong(bits);
  }

  #decodeLong(bits: number): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= LONGEST_CODE; length++) {
      code |= (bits >>> (length - 1)) & 1;
      const count = this.#counts[length]!;
      if (code - first < count) return (this.#symbols[index + code - first]! << 4) | length;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return -1;
  }
}

function reverseBits(value: number, count: number): number {
  let reversed = 0;
  for (let i = 0; i < count; i++) reversed |= ((value >>> i) & 1) << (count - 1 - i);
  return reversed;
}

/** More than one block's header and code lengths take. */
const BLOCK_HEADER_BYTES = 1024;
const STORED_BLOCK_BYTES = 65_535 + 8;
/** More than a literal, or a match with its extra bits, takes. */
const SYMBOL_BYTES = 16;

class Inflater {
  readonly #input: Input;
  readonly #output: Output;
  /** Where the compressed data ends, in the stream. */
  readonly #streamEnd: number;
  /** The piece of the input in memory; the next byte in it; where it or the compressed data ends. */
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  /** Bits taken from the input and not used yet, first bit lowest. */
  #bits = 0;
  #bitCount = 0;
  readonly #literals = new Code();
  readonly #distances = new Code();
  readonly #lengths = new Uint8Array(288 + 32);

  constructor(input: Input, end: number, output: Output) {
    this.#input = input;
    this.#output = output;
    this.#streamEnd = end;
  }

  /** Decodes all blocks; the input is then behind them. */
  async run(): Promise<void> {
    await this.#need(0);
    for (let isLast = false; !isLast; ) {
      await this.#need(BLOCK_HEADER_BYTES);
      isLast = this.#take(1) === 1;
      const type = this.#take(2);
      if (type === 0) {
        await this.#need(STORED_BLOCK_BYTES);
        this.#stored();
        continue;
      }
      if (type === 1) this.#fixed();
      else if (type === 2) this.#dynamic();
      else throw this.#error("a block has the reserved type");
      while (!this.#compressed()) await this.#need(2 * SYMBOL_BYTES);
    }
    this.#input.at = this.#at - (this.#bitCount >>> 3);
  }

  /** Gets the next `count` bytes, or all there are, into memory. */
  async #need(count: number): Promise<void> {
    const input = this.#input;
    if (this.#bytes.length > 0) {
      if (this.#end - this.#at >= count || this.#isAll) return;
      input.at = this.#at;
    }
    await input.fill(Math.max(1, count));
    this.#bytes = input.bytes;
    this.#at = input.at;
    this.#end = Math.min(input.bytes.length, input.at + this.#streamEnd - input.offset);
  }

  /** Whether the compressed data ends in memory. */
  get #isAll(): boolean {
    return this.#input.offsetOf(this.#end) === this.#streamEnd;
  }

  #error(message: string): StreamError {
    return new StreamError(message, this.#input.offsetOf(this.#at));
  }

  /** Fills the bit buffer to at least 24 bits, or with what there is. */
  #refill(): void {
    while (this.#bitCount <= 24 && this.#at < this.#end) {
      this.#bits |= this.#bytes[this.#at++]! << this.#bitCount;
      this.#bitCount += 8;
    }
  }

  #drop(count: number): void {
    if (count > this.#bitCount) throw this.#error("the stream ends in the middle");
    this.#bits >>>= count;
    this.#bitCount -= count;
  }

  /** `count` bits, at most 16. */
  #take(count: number): number {
    this.#refill();
    const value = this.#bits & ((1 << count) - 1);
    this.#drop(count);
    return value;
  }

  #symbol(code: Code): number {
    this.#refill();
    const entry = code.decode(this.#bits);
    if (entry < 0) throw this.#error("a code belongs to no symbol");
    this.#drop(entry & 15);
    return entry >>> 4;
  }

  #stored(): void {
    this.#drop(this.#bitCount & 7);
    const length = this.#take(16);
    if (length !== (this.#take(16) ^ 0xffff)) throw this.#error("the length of a stored block is damaged");
    // Whole bytes may wait in the bit buffer.
    this.#at -= this.#bitCount >>> 3;
    this.#bits = 0;
    this.#bitCount = 0;
    if (length > this.#end - this.#at) throw this.#error("a stored block is cut off");
    this.#output.append(this.#bytes.subarray(this.#at, this.#at + length), this.#input.offsetOf(this.#at));
    this.#at += length;
  }

  #fixed(): void {
    const lengths = this.#lengths
      .fill(8, 0, 144)
      .fill(9, 144, 256)
      .fill(7, 256, 280)
      .fill(8, 280, 288)
      .fill(5, 288);
    this.#literals.build(lengths, 0, 288);
    this.#distances.build(lengths, 288, 30);
  }

  #dynamic(): void {
    const literalCount = this.#take(5) + 257;
    const distanceCount = this.#take(5) + 1;
    const codeLengthCount = this.#take(4) + 4;
    if (literalCount > 286 || distanceCount > 30) throw this.#error("a block has too many codes");
    const lengths = this.#lengths.fill(0);
    for (let i = 0; i < codeLengthCount; i++) lengths[CODE_LENGTH_ORDER[i]!] = this.#take(3);
    // The literal code's table serves for the code of its own lengths first.
    if (!this.#literals.build(lengths, 0, 19))
      throw this.#error("the code of code lengths is no prefix code");
    lengths.fill(0);
    const total = literalCount + distanceCount;
    for (let i = 0; i < total; ) {
      const symbol = this.#symbol(this.#literals);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      if (symbol === 16 && i === 0) throw this.#error("there is no code length to repeat");
      const value = symbol === 16 ? lengths[i - 1]! : 0;
      const repeats =
        symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (repeats > total - i) throw this.#error("there are more code lengths than codes");
      lengths.fill(value, i, i + repeats);
      i += repeats;
    }
    if (lengths[END_OF_BLOCK] === 0) throw this.#error("a block has no code for its end");
    const areCodes =
      this.#literals.build(lengths, 0, literalCount) &&
      this.#distances.build(lengths, literalCount, distanceCount);
    if (!areCodes) throw this.#error("code lengths describe no prefix code");
  }

  /** Decodes the symbols of a block: to its end (true), or until there are too few bytes in memory for another (false). */
  #compressed(): boolean {
    const output = this.#output;
    const stop = this.#isAll ? Number.POSITIVE_INFINITY : this.#end - SYMBOL_BYTES;
    while (this.#at < stop) {
      const symbol = this.#symbol(this.#literals);
      if (symbol < END_OF_BLOCK) {
        if (output.at >= output.limit) output.reserve(1, this.#input.offsetOf(this.#at));
        output.bytes[output.at++] = symbol;
        continue;
      }
      if (symbol === END_OF_BLOCK) return true;
      const lengthIndex = symbol - 257;
      if (lengthIndex >= LENGTH_BASE.length) throw this.#error("a match has an impossible length");
      const length = LENGTH_BASE[lengthIndex]! + this.#take(LENGTH_EXTRA[lengthIndex]!);
      const distanceIndex = this.#symbol(this.#distances);
      if (distanceIndex >= DISTANCE_BASE.length) throw this.#error("a match has an impossible distance");
      const extra = distanceIndex < 2 ? 0 : (distanceIndex >>> 1) - 1;
      const distance = DISTANCE_BASE[distanceIndex]! + this.#take(extra);
      if (distance > output.length)
        throw this.#error(`a match reaches ${distance} bytes back, before the start`);
      output.copy(distance, length, this.#input.offsetOf(this.#at));
    }
    return false;
  }
}

/** Decompresses the DEFLATE stream that begins at the input's next byte and ends before its offset `end`. */
export async function inflate(input: Input, end: number, output: Output): Promise<void> {
  await new Inflater(input, end, output).run();
}
