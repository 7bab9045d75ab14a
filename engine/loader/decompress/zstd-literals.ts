import { ReverseBits, readFseTable } from "./fse.ts";
import { StreamError } from "./stream-error.ts";

/* The literals section of a zstd block, and its Huffman code: RFC 8878, 3.1.1.3.1 and 4.2. */

export const BLOCK_BYTES_MAX = 128 * 1024;
const LONGEST_CODE = 11;
const WEIGHTS_MAX = 255;
const WEIGHT_ACCURACY_MAX = 6;
const TYPE_RAW = 0;
const TYPE_RLE = 1;
const TYPE_COMPRESSED = 2;

/** By the next `bits` bits: symbol << 4 | length of its code. */
export interface HuffmanTable {
  readonly bits: number;
  readonly entries: Uint16Array;
}

export interface Literals {
  readonly bytes: Uint8Array;
  /** Offset behind the section. */
  readonly next: number;
  /** The code for a later block that says "as before". */
  readonly huffman: HuffmanTable | undefined;
}

/** Reads the literals section at input [start, end); `room`, of BLOCK_BYTES_MAX bytes, is where they may be put. */
export function readLiterals(
  input: Uint8Array,
  start: number,
  end: number,
  previous: HuffmanTable | undefined,
  room: Uint8Array,
): Literals {
  if (start >= end) throw new StreamError("a block has no literals section", start);
  const first = input[start]!;
  const type = first & 3;
  const format = (first >>> 2) & 3;
  const word = (offset: number): number => input[start + offset] ?? 0;
  if (type === TYPE_RAW || type === TYPE_RLE) {
    const headerBytes = format === 1 ? 2 : format === 3 ? 3 : 1;
    const size =
      format === 1
        ? (first >>> 4) | (word(1) << 4)
        : format === 3
          ? (first >>> 4) | (word(1) << 4) | (word(2) << 12)
          : first >>> 3;
    const at = start + headerBytes;
    const stored = type === TYPE_RAW ? size : 1;
    if (size > BLOCK_BYTES_MAX || at + stored > end) throw new StreamError("literals are cut off", start);
    const bytes = type === TYPE_RAW ? input.subarray(at, at + size) : room.subarray(0, size).fill(input[at]!);
    return { bytes, next: at + stored, huffman: previous };
  }

  const streams = format === 0 ? 1 : 4;
  const sizeBits = format < 2 ? 10 : format === 2 ? 14 : 18;
  const headerBytes = format < 2 ? 3 : format === 2 ? 4 : 5;
  // Up to 40 bits: more than a shift can do.
  let header = 0;
  for (let i = headerBytes - 1; i >= 0; i--) header = header * 256 + word(i);
  header = Math.floor(header / 16);
  const size = header % 2 ** sizeBits;
  const packed = Math.floor(header / 2 ** sizeBits);
  let at = start + headerBytes;
  const sectionEnd = at + packed;
  if (size > BLOCK_BYTES_MAX || sectionEnd > end) throw new StreamError("literals are cut off", start);
  let huffman = previous;
  if (type === TYPE_COMPRESSED) {
    const read = readHuffmanTable(input, at, sectionEnd);
    huffman = read.table;
    at = read.next;
  }
  if (huffman === undefined) throw new StreamError("literals refer to a code that was never given", start);
  const bytes = room.subarray(0, size);
  if (streams === 1) decodeStream(input, at, sectionEnd, huffman, bytes, 0, size);
  else decodeFourStreams(input, at, sectionEnd, huffman, bytes);
  return { bytes, next: sectionEnd, huffman };
}

function decodeFourStreams(
  input: Uint8Array,
  start: number,
  end: number,
  huffman: HuffmanTable,
  bytes: Uint8Array,
): void {
  if (start + 6 > end) throw new StreamError("the jump table of literals is cut off", start);
  const each = (bytes.length + 3) >>> 2;
  let at = start + 6;
  for (let i = 0; i < 4; i++) {
    const stated = input[start + 2 * i]! | (input[start + 2 * i + 1]! << 8);
    const next = i === 3 ? end : at + stated;
    const from = each * i;
    const to = i === 3 ? bytes.length : from + each;
    if (next > end || from > bytes.length || to > bytes.length) {
      throw new StreamError("a stream of literals is cut off", at);
    }
    decodeStream(input, at, next, huffman, bytes, from, to);
    at = next;
  }
}

function decodeStream(
  input: Uint8Array,
  start: number,
  end: number,
  { bits, entries }: HuffmanTable,
  bytes: Uint8Array,
  from: number,
  to: number,
): void {
  const source = new ReverseBits(input, start, end);
  for (let i = from; i < to; i++) {
    const entry = entries[source.peek(bits)]!;
    source.left -= entry & 15;
    bytes[i] = entry >>> 4;
  }
  if (source.left !== 0)
    throw new StreamError("a stream of literals has another length than it should", start);
}

function readHuffmanTable(
  input: Uint8Array,
  start: number,
  end: number,
): { table: HuffmanTable; next: number } {
  if (start >= end) throw new StreamError("a Huffman code is cut off", start);
  const header = input[start]!;
  const isDirect = header >= 128;
  const next = start + 1 + (isDirect ? (header - 127 + 1) >>> 1 : header);
  if (next > end) throw new StreamError("a Huffman code is cut off", start);
  const weights = isDirect
    ? Array.from({ length: header - 127 }, (_, i) => {
        const pair = input[start + 1 + (i >>> 1)]!;
        return i & 1 ? pair & 15 : pair >>> 4;
      })
    : readWeights(input, start + 1, next);
  return { table: buildHuffmanTable(weights, start), next };
}

/** Weights coded by FSE, with two states that take turns. */
function readWeights(input: Uint8Array, start: number, end: number): number[] {
  const { table, next } = readFseTable(input, start, end, LONGEST_CODE + 1, WEIGHT_ACCURACY_MAX);
  const source = new ReverseBits(input, next, end);
  const states = [source.take(table.accuracyLog), source.take(table.accuracyLog)];
  if (source.left < 0) throw new StreamError("Huffman weights are cut off", start);
  const weights: number[] = [];
  for (let turn = 0; ; turn ^= 1) {
    const state = states[turn]!;
    weights.push(table.symbols[state]!);
    if (weights.length > WEIGHTS_MAX) throw new StreamError("there are too many Huffman weights", start);
    states[turn] = table.bases[state]! + source.take(table.bits[state]!);
    // The end is where a state cannot be continued; the other one still holds a symbol.
    if (source.left < 0) {
      weights.push(table.symbols[states[turn ^ 1]!]!);
      return weights;
    }
  }
}

function buildHuffmanTable(weights: number[], at: number): HuffmanTable {
  let sum = 0;
  for (const weight of weights) {
    if (weight > LONGEST_CODE) throw new StreamError("a Huffman weight is too large", at);
    if (weight > 0) sum += 1 << (weight - 1);
  }
  const bits = sum === 0 ? 0 : 32 - Math.clz32(sum);
  const rest = (1 << bits) - sum;
  // The last symbol's weight is not stored: it completes the code.
  if (bits === 0 || bits > LONGEST_CODE || (rest & (rest - 1)) !== 0 || weights.length > WEIGHTS_MAX) {
    throw new StreamError("Huffman weights describe no prefix code", at);
  }
  const all = [...weights, 32 - Math.clz32(rest)];
  const entries = new Uint16Array(1 << bits);
  let position = 0;
  for (let weight = 1; weight <= bits; weight++) {
    for (const [symbol, own] of all.entries()) {
      if (own !== weight) continue;
      const width = 1 << (weight - 1);
      entries.fill((symbol << 4) | (bits + 1 - weight), position, position + width);
      position += width;
    }
  }
  return { bits, entries };
}
