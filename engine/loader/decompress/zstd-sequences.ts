import { buildFseTable, type FseTable, ReverseBits, readFseTable, singleSymbolTable } from "./fse.ts";
import type { Output } from "./output.ts";
import { StreamError } from "./stream-error.ts";
import { BLOCK_BYTES_MAX } from "./zstd-literals.ts";

/* The sequences section of a zstd block: RFC 8878, 3.1.1.3.2 and 3.1.1.4. */

const MODE_PREDEFINED = 0;
const MODE_RLE = 1;
const MODE_COMPRESSED = 2;

/** What a code number stands for: a base, and so many extra bits. */
interface Values {
  readonly bases: readonly number[];
  readonly extra: readonly number[];
}

function values(first: number, plain: number, extra: readonly number[]): Values {
  const bases: number[] = [];
  const bits: number[] = [];
  let base = first;
  for (const count of [...new Array<number>(plain).fill(0), ...extra]) {
    bases.push(base);
    bits.push(count);
    base += 2 ** count;
  }
  return { bases, extra: bits };
}

const LITERAL_LENGTHS = values(0, 16, [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const MATCH_LENGTHS = values(3, 32, [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
/** Offsets beyond the largest window the loader accepts need no code. */
const OFFSET_CODE_MAX = 30;

interface Kind {
  readonly maxSymbol: number;
  readonly maxAccuracy: number;
  readonly predefined: FseTable;
}

const ones = (count: number): number[] => new Array<number>(count).fill(1);
const LITERAL_KIND: Kind = {
  maxSymbol: 35,
  maxAccuracy: 9,
  predefined: buildFseTable(
    [
      4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1,
      -1, -1,
    ],
    6,
  ),
};
const OFFSET_KIND: Kind = {
  maxSymbol: OFFSET_CODE_MAX,
  maxAccuracy: 8,
  predefined: buildFseTable([...ones(6), 2, 2, 2, ...ones(15), -1, -1, -1, -1, -1], 5),
};
const MATCH_KIND: Kind = {
  maxSymbol: 52,
  maxAccuracy: 9,
  predefined: buildFseTable([1, 4, 3, 2, 2, 2, 2, 2, 2, ...ones(37), -1, -1, -1, -1, -1, -1, -1], 6),
};

/** What one block leaves to the next: tables and recent offsets. */
export interface SequenceState {
  literals?: FseTable;
  offsets?: FseTable;
  matches?: FseTable;
  readonly recent: [number, number, number];
}

export function initialSequenceState(): SequenceState {
  return { recent: [1, 4, 8] };
}

/** Executes the sequences at input [start, end) on `literals`. */
export function executeSequences(
  input: Uint8Array,
  start: number,
  end: number,
  literals: Uint8Array,
  state: SequenceState,
  output: Output,
): void {
  const blockStart = output.length;
  const header = readHeader(input, start, end, state);
  let used = 0;
  if (header !== undefined) {
    const { count, at, literalTable, offsetTable, matchTable } = header;
    const source = new ReverseBits(input, at, end);
    let literalState = source.take(literalTable.accuracyLog);
    let offsetState = source.take(offsetTable.accuracyLog);
    let matchState = source.take(matchTable.accuracyLog);
    for (let i = 0; i < count; i++) {
      const offsetCode = offsetTable.symbols[offsetState]!;
      const matchCode = matchTable.symbols[matchState]!;
      const literalCode = literalTable.symbols[literalState]!;
      const offsetValue = 2 ** offsetCode + takeLong(source, offsetCode);
      const matchLength = MATCH_LENGTHS.bases[matchCode]! + source.take(MATCH_LENGTHS.extra[matchCode]!);
      const literalLength =
        LITERAL_LENGTHS.bases[literalCode]! + source.take(LITERAL_LENGTHS.extra[literalCode]!);
      const distance = resolveOffset(offsetValue, literalLength, state.recent);
      if (literalLength > literals.length - used) throw new StreamError("a sequence lacks literals", start);
      output.append(literals.subarray(used, used + literalLength), start);
      used += literalLength;
      if (distance === 0 || distance > output.length) {
        throw new StreamError(`a match reaches ${distance} bytes back, before the start of its frame`, start);
      }
      output.copy(distance, matchLength, start);
      if (output.length - blockStart > BLOCK_BYTES_MAX)
        throw new StreamError("a block exceeds 128 KiB", start);
      if (i === count - 1) break;
      literalState = literalTable.bases[literalState]! + source.take(literalTable.bits[literalState]!);
      matchState = matchTable.bases[matchState]! + source.take(matchTable.bits[matchState]!);
      offsetState = offsetTable.bases[offsetState]! + source.take(offsetTable.bits[offsetState]!);
    }
    if (source.left !== 0) throw new StreamError("sequences have another length than they should", start);
  }
  output.append(literals.subarray(used), start);
  if (output.length - blockStart > BLOCK_BYTES_MAX) throw new StreamError("a block exceeds 128 KiB", start);
}

/** Up to 30 bits. */
function takeLong(source: ReverseBits, count: number): number {
  if (count <= 16) return source.take(count);
  const high = source.take(count - 16);
  return high * 0x10000 + source.take(16);
}

/** A distance from an offset value: 1 to 3 name recent ones (3.1.1.5). */
function resolveOffset(value: number, literalLength: number, recent: [number, number, number]): number {
  if (value > 3) {
    recent[2] = recent[1];
    recent[1] = recent[0];
    recent[0] = value - 3;
    return recent[0];
  }
  const index = value - 1 + (literalLength === 0 ? 1 : 0);
  if (index === 0) return recent[0];
  const distance = index === 3 ? recent[0] - 1 : recent[index]!;
  if (index > 1) recent[2] = recent[1];
  recent[1] = recent[0];
  recent[0] = distance;
  return distance;
}

interface Header {
  readonly count: number;
  readonly at: number;
  readonly literalTable: FseTable;
  readonly offsetTable: FseTable;
  readonly matchTable: FseTable;
}

/** Number of sequences and their tables; undefined if there are none. */
function readHeader(input: Uint8Array, start: number, end: number, state: SequenceState): Header | undefined {
  if (start >= end) throw new StreamError("a block has no sequences section", start);
  const first = input[start]!;
  if (first === 0) {
    if (start + 1 !== end) throw new StreamError("bytes follow the end of a block", start);
    return undefined;
  }
  const headerBytes = first < 128 ? 1 : first < 255 ? 2 : 3;
  if (start + headerBytes + 1 > end) throw new StreamError("a sequences section is cut off", start);
  const second = input[start + 1]!;
  const count =
    first < 128
      ? first
      : first < 255
        ? ((first - 128) << 8) + second
        : second + (input[start + 2]! << 8) + 0x7f00;
  const modes = input[start + headerBytes]!;
  if (modes & 3) throw new StreamError("the modes of sequences are unknown", start);
  let at = start + headerBytes + 1;
  const table = (mode: number, kind: Kind, previous: FseTable | undefined): FseTable => {
    if (mode === MODE_PREDEFINED) return kind.predefined;
    if (mode === MODE_RLE) {
      if (at >= end || input[at]! > kind.maxSymbol)
        throw new StreamError("a repeated code is impossible", at);
      return singleSymbolTable(input[at++]!);
    }
    if (mode === MODE_COMPRESSED) {
      const read = readFseTable(input, at, end, kind.maxSymbol, kind.maxAccuracy);
      at = read.next;
      return read.table;
    }
    if (previous === undefined) throw new StreamError("sequences refer to a table that was never given", at);
    return previous;
  };
  const literalTable = table(modes >>> 6, LITERAL_KIND, state.literals);
  const offsetTable = table((modes >>> 4) & 3, OFFSET_KIND, state.offsets);
  const matchTable = table((modes >>> 2) & 3, MATCH_KIND, state.matches);
  state.literals = literalTable;
  state.offsets = offsetTable;
  state.matches = matchTable;
  return { count, at, literalTable, offsetTable, matchTable };
}
