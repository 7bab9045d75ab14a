import { Bzip2Crc } from "./checksum.ts";
import type { Input } from "./input.ts";
import type { Output } from "./output.ts";
import { StreamError } from "./stream-error.ts";

/** Symbols are coded in groups of 50, each with its own Huffman table. */
const GROUP_SYMBOLS = 50;
const LONGEST_CODE = 20;
const RUN_A = 0;
const RUN_B = 1;
/** The digits of pi and of its square root, which mark a block and the end of the stream. */
const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;

/** More than a block takes: 900,000 symbols of 20 bits, and its tables. */
const BLOCK_INPUT_BYTES = 3 * 1024 * 1024;

/** Bits of the input, most significant first; those of a block must be in memory. */
class BitReader {
  readonly #input: Input;
  #bits = 0;
  #count = 0;

  constructor(input: Input) {
    this.#input = input;
  }

  /** Byte offset, for messages. */
  get offset(): number {
    return this.#input.offset;
  }

  /** `count` bits, at most 24. */
  read(count: number): number {
    const input = this.#input;
    while (this.#count < count) {
      if (input.at >= input.bytes.length)
        throw new StreamError("the stream ends in the middle", input.offset);
      this.#bits = ((this.#bits << 8) | input.bytes[input.at++]!) >>> 0;
      this.#count += 8;
    }
    this.#count -= count;
    return (this.#bits >>> this.#count) & ((1 << count) - 1);
  }

  alignToByte(): void {
    this.#count = 0;
  }
}

/** A canonical Huffman code: for each length the first code and where its symbols start. */
interface HuffmanTable {
  readonly minimum: number;
  /** limit[n]: the largest code of n bits, or -1. */
  readonly limit: Int32Array;
  /** symbols[code - base[n]] for a code of n bits. */
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
}

/** Decompresses bzip2 streams (one or several in a row) that fill `input`, and verifies the CRC of every block. */
export async function decompressBzip2(input: Input, output: Output): Promise<void> {
  const reader = new BitReader(input);
  do {
    const at = input.offset;
    await input.fill(BLOCK_INPUT_BYTES);
    const magic = reader.read(24);
    const level = reader.read(8) - 0x30;
    if (magic !== 0x425a68 || level < 1 || level > 9) throw new StreamError("no bzip2 stream header", at);
    const block = new Uint32Array(level * 100_000);
    for (;;) {
      await input.fill(BLOCK_INPUT_BYTES);
      const marker = reader.read(24) * 0x1000000 + reader.read(24);
      const stated = reader.read(16) * 0x10000 + reader.read(16);
      if (marker === END_MAGIC) break;
      if (marker !== BLOCK_MAGIC)
        throw new StreamError("neither a block nor the end of the stream", reader.offset);
      const crc = new Bzip2Crc();
      output.flush();
      output.tap = (piece) => crc.update(piece);
      decodeBlock(reader, block, output);
      output.flush();
      if (crc.value !== stated) throw new StreamError("the CRC of a block is wrong", reader.offset);
    }
    reader.alignToByte();
  } while (input.left > 0);
}

/** One block: Huffman and move-to-front decoding into `block`, then the inverse transform into `output`. */
function decodeBlock(reader: BitReader, block: Uint32Array, output: Output): void {
  if (reader.read(1))
    throw new StreamError("randomised blocks (bzip2 0.9.0) are not supported", reader.offset);
  const origin = reader.read(24);
  const used: number[] = [];
  const ranges = reader.read(16);
  for (let range = 0; range < 16; range++) {
    if (!(ranges & (0x8000 >>> range))) continue;
    const members = reader.read(16);
    for (let i = 0; i < 16; i++) if (members & (0x8000 >>> i)) used.push(range * 16 + i);
  }
  if (used.length === 0) throw new StreamError("a block uses no byte values", reader.offset);

  const { selectors, tables } = readTables(reader, used.length + 2);
  const length = readSymbols(reader, block, used, selectors, tables);
  if (origin >= length) throw new StreamError("the origin of a block lies outside it", reader.offset);
  inverseTransform(reader, block, length, origin, output);
}

function readTables(
  reader: BitReader,
  symbolCount: number,
): { selectors: Uint8Array; tables: readonly HuffmanTable[] } {
  const tableCount = reader.read(3);
  const selectorCount = reader.read(15);
  if (tableCount < 2 || tableCount > 6 || selectorCount === 0) {
    throw new StreamError("a block has an impossible number of Huffman tables", reader.offset);
  }
  const order = [0, 1, 2, 3, 4, 5];
  const selectors = new Uint8Array(selectorCount);
  for (let i = 0; i < selectorCount; i++) {
    let position = 0;
    while (reader.read(1)) {
      if (++position >= tableCount) throw new StreamError("a selector names no Huffman table", reader.offset);
    }
    const [chosen] = order.splice(position, 1);
    order.unshift(chosen!);
    selectors[i] = chosen!;
  }
  const tables: HuffmanTable[] = [];
  for (let t = 0; t < tableCount; t++) {
    const lengths = new Uint8Array(symbolCount);
    let length = reader.read(5);
    for (let symbol = 0; symbol < symbolCount; symbol++) {
      for (;;) {
        if (length < 1 || length > LONGEST_CODE)
          throw new StreamError("a code length is impossible", reader.offset);
        if (!reader.read(1)) break;
        length += reader.read(1) ? -1 : 1;
      }
      lengths[symbol] = length;
    }
    tables.push(buildTable(lengths));
  }
  return { selectors, tables };
}

function buildTable(lengths: Uint8Array): HuffmanTable {
  const counts = new Int32Array(LONGEST_CODE + 2);
  for (const length of lengths) counts[length]!++;
  const limit = new Int32Array(LONGEST_CODE + 1).fill(-1);
  const base = new Int32Array(LONGEST_CODE + 1);
  const next = new Int32Array(LONGEST_CODE + 1);
  let code = 0;
  let index = 0;
  for (let length = 1; length <= LONGEST_CODE; length++) {
    base[length] = code - index;
    next[length] = index;
    index += counts[length]!;
    code += counts[length]!;
    if (counts[length]! > 0) limit[length] = code - 1;
    code <<= 1;
  }
  const symbols = new Uint16Array(lengths.length);
  for (let symbol = 0; symbol < lengths.length; symbol++) symbols[next[lengths[symbol]!]!++] = symbol;
  return { minimum: Math.min(...lengths), limit, base, symbols };
}

/** Fills `block` with byte values (low 8 bits); returns how many. */
function readSymbols(
  reader: BitReader,
  block: Uint32Array,
  used: readonly number[],
  selectors: Uint8Array,
  tables: readonly HuffmanTable[],
): number {
  const endOfBlock = used.length + 1;
  const recent = Uint8Array.from(used);
  let length = 0;
  let run = 0;
  let runWeight = 1;
  let inGroup = 0;
  let group = 0;
  let table = tables[0]!;
  for (;;) {
    if (inGroup === 0) {
      if (group >= selectors.length)
        throw new StreamError("a block has more symbols than selectors", reader.offset);
      table = tables[selectors[group++]!]!;
      inGroup = GROUP_SYMBOLS;
    }
    inGroup--;
    const symbol = readSymbol(reader, table);
    if (symbol === RUN_A || symbol === RUN_B) {
      run += symbol === RUN_A ? runWeight : 2 * runWeight;
      runWeight *= 2;
      if (run > block.length) throw new StreamError("a run exceeds its block", reader.offset);
      continue;
    }
    if (run > 0) {
      if (run > block.length - length) throw new StreamError("a run exceeds its block", reader.offset);
      block.fill(recent[0]!, length, length + run);
      length += run;
      run = 0;
      runWeight = 1;
    }
    if (symbol === endOfBlock) return length;
    if (length >= block.length) throw new StreamError("a block exceeds its stated size", reader.offset);
    const position = symbol - 1;
    const value = recent[position]!;
    recent.copyWithin(1, 0, position);
    recent[0] = value;
    block[length++] = value;
  }
}

function readSymbol(reader: BitReader, table: HuffmanTable): number {
  let length = table.minimum;
  let code = reader.read(length);
  while (length <= LONGEST_CODE) {
    if (code <= table.limit[length]!) {
      const symbol = table.symbols[code - table.base[length]!];
      if (symbol === undefined) break;
      return symbol;
    }
    code = (code << 1) | reader.read(1);
    length++;
  }
  throw new StreamError("a code belongs to no symbol", reader.offset);
}

/** Inverse Burrows-Wheeler transform, and the outer run-length coding: four equal bytes and a count of more. */
function inverseTransform(
  reader: BitReader,
  block: Uint32Array,
  length: number,
  origin: number,
  output: Output,
): void {
  const starts = new Uint32Array(257);
  for (let i = 0; i < length; i++) starts[(block[i]! & 0xff) + 1]!++;
  for (let value = 0; value < 256; value++) starts[value + 1]! += starts[value]!;
  // The upper 24 bits of an entry become the index of its successor.
  for (let i = 0; i < length; i++) {
    const value = block[i]! & 0xff;
    const slot = starts[value]!++;
    block[slot] = (block[slot]! & 0xff) | (i << 8);
  }
  let at = block[origin]! >>> 8;
  let previous = -1;
  let repeats = 0;
  for (let done = 0; done < length; done++) {
    const entry = block[at]!;
    const value = entry & 0xff;
    at = entry >>> 8;
    if (repeats === 4) {
      output.fill(previous, value, reader.offset);
      repeats = 0;
      previous = -1;
      continue;
    }
    repeats = value === previous ? repeats + 1 : 1;
    previous = value;
    if (output.at >= output.limit) output.reserve(1, reader.offset);
    output.bytes[output.at++] = value;
  }
}
