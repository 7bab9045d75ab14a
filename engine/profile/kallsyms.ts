/*
 * The symbol table that a Linux kernel carries for its own call traces (CONFIG_KALLSYMS), found in its image without any
 * symbol that says where it is. Format: kernel/kallsyms.c and scripts/kallsyms.c of Linux. In memory lie, each aligned,
 *
 *   up to Linux 6.3:  offsets, relative_base, num_syms, names, markers, [seqs_of_names,] token_table, token_index
 *   from Linux 6.4:   num_syms, names, markers, token_table, token_index, offsets, relative_base, seqs_of_names
 *
 * The token table betrays itself: tokens for characters that occur in symbols are those characters, in the order of
 * their codes, each ended by NUL.
 */

import { PROFILE_LIMITS } from "../limits.ts";
import { copyOf, type RandomAccess } from "../loader/bytes.ts";
import { countUpTo } from "./search.ts";

/** Functions and data of a kernel by address. */
export interface SymbolTable {
  /** The symbol at or before an address, with where it begins; undefined before the first. */
  find(address: bigint): { readonly name: string; readonly start: bigint } | undefined;
}

const TOKENS = 256;
/** A token is at most as long as a symbol's name, KSYM_NAME_LEN; nearly all are much shorter. */
const TOKEN_TABLE_BYTES = 8192;
/** Names are kept in groups of so many, each group with a marker. */
const GROUP = 256;
/** Fewer groups are no kernel's. */
const LEAST_GROUPS = 4;
/** From the first marker to the token table: the markers, and in Linux 6.2 and 6.3 three bytes a symbol. */
const MARKERS_DISTANCE = (4 / GROUP + 3) * PROFILE_LIMITS.symbols;
/** Longest compressed name that is believed. */
const NAME_BYTES = 512;
/** Kernel addresses of x86-64; and the size of what is linked there. */
const KERNEL_TEXT = 0xffff_ffff_8000_0000n;
const SCAN_BYTES = 1 << 18;
const DIGITS = Uint8Array.from("0123456789", (digit) => digit.charCodeAt(0));

/** Reads the kernel's own symbols; undefined if it has none, or none that are understood. */
export function readKallsyms(image: RandomAccess): SymbolTable | undefined {
  for (let from = 0; ; ) {
    const digits = findDigits(image, from);
    if (digits === undefined) return undefined;
    const table = readFrom(image, digits);
    if (table !== undefined) return table;
    from = digits + 1;
  }
}

/** The next offset at which the tokens "0" to "9" stand. */
function findDigits(image: RandomAccess, from: number): number | undefined {
  const pattern = new Uint8Array(2 * DIGITS.length);
  for (const [i, digit] of DIGITS.entries()) pattern[2 * i] = digit;
  for (let at = from; at < image.length; at += SCAN_BYTES) {
    const piece = image.bytes(at, Math.min(SCAN_BYTES + pattern.length, image.length - at));
    for (let i = piece.indexOf(pattern[0]!); i >= 0; i = piece.indexOf(pattern[0]!, i + 1)) {
      if (i + pattern.length <= piece.length && pattern.every((byte, k) => piece[i + k] === byte))
        return at + i;
    }
  }
  return undefined;
}

interface Tokens {
  readonly start: number;
  readonly texts: readonly string[];
  /** Where the token index ends. */
  readonly end: number;
}

/** The token table around "0", checked by the index behind it: token_index[i] is where token i begins. */
function readTokens(image: RandomAccess, digits: number): Tokens | undefined {
  const length = Math.min(TOKEN_TABLE_BYTES + 2 * TOKENS, image.length - digits);
  const bytes = image.bytes(digits, length);
  let at = 0;
  for (let token = DIGITS[0]!; token < TOKENS; token++) {
    at = bytes.indexOf(0, at) + 1;
    if (at === 0) return undefined;
  }
  for (const alignment of [4, 8]) {
    const index = digits + at + padding(digits + at, alignment);
    if (index + 2 * TOKENS > image.length) continue;
    const starts = new Uint16Array(copyOf(image, index, 2 * TOKENS));
    const start = digits - starts[DIGITS[0]!]!;
    if (starts[0] !== 0 || start < 0 || starts.some((value, i) => i > 0 && value <= starts[i - 1]!)) continue;
    const table = image.bytes(start, digits + at - start);
    const texts = Array.from(starts, (from, i) =>
      String.fromCharCode(...table.subarray(from, (starts[i + 1] ?? table.length) - 1)),
    );
    return { start, texts, end: index + 2 * TOKENS };
  }
  return undefined;
}

function padding(at: number, alignment: number): number {
  return (alignment - (at % alignment)) % alignment;
}

function readFrom(image: RandomAccess, digits: number): SymbolTable | undefined {
  const tokens = readTokens(image, digits);
  if (tokens === undefined) return undefined;
  const markers = readMarkers(image, tokens.start);
  if (markers === undefined) return undefined;
  const names = findNames(image, markers);
  if (names === undefined) return undefined;
  const addresses = readAddresses(image, names, tokens.end);
  return addresses && new Kallsyms(addresses, names.bytes, markers.values, tokens.texts);
}

interface Markers {
  readonly start: number;
  /** Where in the names each group begins. */
  readonly values: Uint32Array;
}

/**
 * The markers: a run of words that begins with 0 and rises by what a group of names can take, somewhere in front of the token
 * table.
 */
function readMarkers(image: RandomAccess, end: number): Markers | undefined {
  const bytes = Math.min(end, MARKERS_DISTANCE) & ~3;
  const start = end - bytes;
  const words = new Uint32Array(copyOf(image, start, bytes));
  for (let first = words.length - LEAST_GROUPS; first >= 0; first--) {
    if (words[first] !== 0) continue;
    let last = first;
    while (last + 1 < words.length && isGroup(words[last + 1]! - words[last]!)) last++;
    const groups = last - first + 1;
    if (groups >= LEAST_GROUPS) return { start: start + 4 * first, values: words.slice(first, last + 1) };
  }
  return undefined;
}

function isGroup(bytes: number): boolean {
  return bytes >= 2 * GROUP && bytes <= NAME_BYTES * GROUP;
}

interface Names {
  /** Where num_syms is in the image. */
  readonly countAt: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/**
 * The names end before the markers; where they begin is tried, and shown by the markers that must fit. What follows the last
 * marker may look like another one.
 */
function findNames(image: RandomAccess, { start, values }: Markers): Names | undefined {
  for (let groups = values.length; groups >= Math.max(LEAST_GROUPS, values.length - 2); groups--) {
    const furthest = start - values[groups - 1]! - 1;
    const nearest = Math.max(8, furthest - GROUP * NAME_BYTES);
    const window = copyOf(image, nearest - 8, furthest - nearest + 16);
    for (let at = furthest - (furthest % 4); at >= nearest; at -= 4) {
      // num_syms is a 32-bit word, aligned to 8 or, with the names, to 4.
      for (const countAt of [at - 8, at - 4]) {
        const count = new DataView(window).getUint32(countAt - nearest + 8, true);
        if (Math.ceil(count / GROUP) !== groups) continue;
        const bytes = new Uint8Array(copyOf(image, at, start - at));
        if (fits(bytes, values, count)) return { countAt, count, bytes };
      }
    }
  }
  return undefined;
}

/** A name's length: one byte, or two with seven bits in the first (since Linux 6.1). Returns it and where the name begins. */
function lengthAt(bytes: Uint8Array, at: number): { readonly length: number; readonly start: number } {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return { length: first, start: at + 1 };
  return { length: (first & 0x7f) | ((bytes[at + 1] ?? 0) << 7), start: at + 2 };
}

function fits(bytes: Uint8Array, markers: Uint32Array, count: number): boolean {
  let at = 0;
  for (let symbol = 0; symbol < count; symbol++) {
    if (symbol % GROUP === 0 && at !== markers[symbol / GROUP]) return false;
    const { length, start } = lengthAt(bytes, at);
    if (length === 0) return false;
    at = start + length;
  }
  return at <= bytes.length && bytes.length - at < 8;
}

/** Offsets and base, in front of num_syms or behind the token index. */
function readAddresses(
  image: RandomAccess,
  { countAt, count }: Names,
  tokensEnd: number,
): Float64Array | undefined {
  const size = 4 * count;
  const baseBefore = countAt - 8;
  const offsetsBefore = baseBefore - size - padding(size, 8);
  const offsetsBehind = tokensEnd + padding(tokensEnd, 8);
  const places = [
    { offsets: offsetsBefore, base: baseBefore },
    { offsets: offsetsBehind, base: offsetsBehind + size + padding(size, 8) },
  ];
  for (const { offsets, base } of places) {
    if (offsets < 0 || base + 8 > image.length) continue;
    const [relativeBase] = new BigUint64Array(copyOf(image, base, 8));
    if (relativeBase === undefined || relativeBase < KERNEL_TEXT) continue;
    const addresses = addressesOf(new Int32Array(copyOf(image, offsets, size)), relativeBase);
    if (addresses !== undefined) return addresses;
  }
  return undefined;
}

/**
 * Addresses relative to KERNEL_TEXT. With CONFIG_KALLSYMS_ABSOLUTE_PERCPU an offset that is not negative is an absolute
 * value, and others count down from the base; without, offsets count up from it.
 */
function addressesOf(offsets: Int32Array, base: bigint): Float64Array | undefined {
  const from = Number(base - KERNEL_TEXT);
  const countsDown = offsets.filter((offset) => offset < 0).length > offsets.length / 2;
  const addresses = Float64Array.from(offsets, (offset) => {
    if (!countsDown) return from + (offset >>> 0);
    return offset < 0 ? from - 1 - offset : Number.NEGATIVE_INFINITY;
  });
  return addresses.every((address, i) => i === 0 || address >= addresses[i - 1]!) ? addresses : undefined;
}

class Kallsyms implements SymbolTable {
  readonly #addresses: Float64Array;
  readonly #names: Uint8Array;
  readonly #markers: Uint32Array;
  readonly #tokens: readonly string[];
  readonly #known = new Map<number, string>();

  constructor(addresses: Float64Array, names: Uint8Array, markers: Uint32Array, tokens: readonly string[]) {
    this.#addresses = addresses;
    this.#names = names;
    this.#markers = markers;
    this.#tokens = tokens;
  }

  find(address: bigint): { readonly name: string; readonly start: bigint } | undefined {
    const wanted = Number(address - KERNEL_TEXT);
    const upTo = countUpTo(this.#addresses, wanted);
    const start = this.#addresses[upTo - 1];
    if (wanted < 0 || start === undefined || start < 0) return undefined;
    // Of several names for one address the first is what the kernel's traces show.
    let index = upTo - 1;
    while (index > 0 && this.#addresses[index - 1] === start) index--;
    return { name: this.#nameOf(index), start: KERNEL_TEXT + BigInt(start) };
  }

  #nameOf(symbol: number): string {
    const known = this.#known.get(symbol);
    if (known !== undefined) return known;
    let at = this.#markers[Math.floor(symbol / GROUP)]!;
    for (let before = symbol % GROUP; before > 0; before--) {
      const { length, start } = lengthAt(this.#names, at);
      at = start + length;
    }
    const { length, start } = lengthAt(this.#names, at);
    const text = Array.from(this.#names.subarray(start, start + length), (token) => this.#tokens[token]).join(
      "",
    );
    // The first character is the symbol's type, as nm prints it.
    const name = text.slice(1);
    this.#known.set(symbol, name);
    return name;
  }
}
