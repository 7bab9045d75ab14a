import type { Output } from "./output.ts";
import { StreamError } from "./stream-error.ts";

/*
 * The LZMA state machine (doc/lzma-specification.txt of the LZMA SDK): a range decoder drives adaptive bit models that
 * describe literals, matches and repeated matches. LZMA-alone files and LZMA2 chunks differ only in what frames it.
 */

const PROBABILITY_BITS = 11;
const PROBABILITY_HALF = 1 << (PROBABILITY_BITS - 1);
const MOVE_BITS = 5;
/** Below this the range gets its next input byte. */
const RANGE_TOP = 1 << 24;

const STATES = 12;
const POSITION_STATES = 16;
const LITERAL_STATES = 7;
const LENGTH_LOW = 8;
const LENGTH_HIGH = 256;
const DISTANCE_SLOTS = 64;
const FIRST_MODELLED_SLOT = 4;
const FIRST_DIRECT_SLOT = 14;
const ALIGN_BITS = 4;
const SHORTEST_MATCH = 2;
const END_MARKER = 0xffffffff;
/** More than one symbol takes: a bit takes a byte at most, a match has some 60 bits. */
const SYMBOL_BYTES = 128;

/* All models lie in one array; these are the offsets of its parts. */
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POSITION_STATES;
const IS_REP0 = IS_REP + STATES;
const IS_REP1 = IS_REP0 + STATES;
const IS_REP2 = IS_REP1 + STATES;
const IS_REP0_LONG = IS_REP2 + STATES;
const DISTANCE_SLOT = IS_REP0_LONG + STATES * POSITION_STATES;
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * DISTANCE_SLOTS;
const ALIGN = DISTANCE_SPECIAL + 128;
const LENGTH_MODELS = 2 + 2 * POSITION_STATES * LENGTH_LOW + LENGTH_HIGH;
const MATCH_LENGTH = ALIGN + (1 << ALIGN_BITS);
const REP_LENGTH = MATCH_LENGTH + LENGTH_MODELS;
const LITERAL = REP_LENGTH + LENGTH_MODELS;
const LITERAL_MODELS = 0x300;

/** Offsets inside the models of a length. */
const LENGTH_CHOICE = 0;
const LENGTH_CHOICE2 = 1;
const LENGTH_LOW_TREES = 2;
const LENGTH_MID_TREES = LENGTH_LOW_TREES + POSITION_STATES * LENGTH_LOW;
const LENGTH_HIGH_TREE = LENGTH_MID_TREES + POSITION_STATES * LENGTH_LOW;

/** lc, lp and pb of one byte; undefined if the byte is no such thing. */
export function lzmaProperties(byte: number): { lc: number; lp: number; pb: number } | undefined {
  if (byte >= 9 * 5 * 5) return undefined;
  return { lc: byte % 9, lp: Math.trunc(byte / 9) % 5, pb: Math.trunc(byte / 45) };
}

export class LzmaDecoder {
  readonly #output: Output;
  /** A part of the input, where in it the next byte is, and from where on `decodeUntil` asks for more; its stream offset. */
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  #hungryAt = 0;
  #base = 0;
  #range = 0;
  #code = 0;

  #models = new Uint16Array(0);
  #lc = 0;
  #literalPositionMask = 0;
  #positionMask = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  /** Where in the output the dictionary starts: no match reaches further back. */
  #dictionaryStart = 0;
  #dictionarySize = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Stream offset behind the last byte read. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /**
   * Gives the decoder its next bytes; the first of them has the stream offset `base`. Unless they are the last,
   * `decodeUntil` comes back for more before it may run out of them.
   */
  feed(bytes: Uint8Array, base: number, isLast: boolean): void {
    this.#input = bytes;
    this.#at = 0;
    this.#base = base;
    this.#hungryAt = isLast ? Number.POSITIVE_INFINITY : bytes.length - SYMBOL_BYTES;
  }

  /** Forgets everything decoded so far; `size` bounds match distances. */
  resetDictionary(size: number): void {
    this.#dictionaryStart = this.#output.length;
    this.#dictionarySize = size;
  }

  setProperties(lc: number, lp: number, pb: number): void {
    this.#lc = lc;
    this.#literalPositionMask = (1 << lp) - 1;
    this.#positionMask = (1 << pb) - 1;
    this.#models = new Uint16Array(LITERAL + (LITERAL_MODELS << (lc + lp)));
  }

  resetState(): void {
    this.#models.fill(PROBABILITY_HALF);
    this.#state = 0;
    this.#rep0 = 0;
    this.#rep1 = 0;
    this.#rep2 = 0;
    this.#rep3 = 0;
  }

  /** Starts the range decoder on the bytes that were fed. */
  start(): void {
    if (this.#input.length < 5) throw this.#error("the range coder's first five bytes are cut off");
    if (this.#input[0] !== 0) throw this.#error("the range coder does not start with a zero byte");
    this.#range = -1;
    this.#code = 0;
    this.#at++;
    for (let i = 0; i < 4; i++) this.#code = (this.#code << 8) | this.#input[this.#at++]!;
  }

  /**
   * Decodes until the output has `stop` bytes, an end marker is met, or more input is needed. A match that reaches past
   * `stop` is an error.
   */
  decodeUntil(stop: number): "stop" | "end-marker" | "hungry" {
    const output = this.#output;
    while (output.length < stop) {
      if (this.#at >= this.#hungryAt) return "hungry";
      const position = output.length - this.#dictionaryStart;
      const positionState = position & this.#positionMask;
      if (this.#bit(IS_MATCH + this.#state * POSITION_STATES + positionState) === 0) {
        this.#literal(position);
        continue;
      }
      let length: number;
      if (this.#bit(IS_REP + this.#state) === 0) {
        this.#rep3 = this.#rep2;
        this.#rep2 = this.#rep1;
        this.#rep1 = this.#rep0;
        length = this.#length(MATCH_LENGTH, positionState);
        this.#state = this.#state < LITERAL_STATES ? 7 : 10;
        this.#rep0 = this.#distance(length);
        if (this.#rep0 === END_MARKER) return "end-marker";
      } else if (this.#bit(IS_REP0 + this.#state) === 0) {
        if (this.#bit(IS_REP0_LONG + this.#state * POSITION_STATES + positionState) === 0) {
          this.#state = this.#state < LITERAL_STATES ? 9 : 11;
          this.#copy(1, stop);
          continue;
        }
        length = this.#length(REP_LENGTH, positionState);
        this.#state = this.#state < LITERAL_STATES ? 8 : 11;
      } else {
        let distance: number;
        if (this.#bit(IS_REP1 + this.#state) === 0) {
          distance = this.#rep1;
        } else {
          if (this.#bit(IS_REP2 + this.#state) === 0) {
            distance = this.#rep2;
          } else {
            distance = this.#rep3;
            this.#rep3 = this.#rep2;
          }
          this.#rep2 = this.#rep1;
        }
        this.#rep1 = this.#rep0;
        this.#rep0 = distance;
        length = this.#length(REP_LENGTH, positionState);
        this.#state = this.#state < LITERAL_STATES ? 8 : 11;
      }
      this.#copy(length + SHORTEST_MATCH, stop);
    }
    return "stop";
  }

  /** After the last byte an end marker may follow; true if there was one. */
  decodeEndMarker(): boolean {
    const positionState = (this.#output.length - this.#dictionaryStart) & this.#positionMask;
    if (this.#bit(IS_MATCH + this.#state * POSITION_STATES + positionState) === 0) return false;
    if (this.#bit(IS_REP + this.#state) !== 0) return false;
    return this.#distance(this.#length(MATCH_LENGTH, positionState)) === END_MARKER;
  }

  /** Takes in the byte that the range decoder owes; LZMA2 chunks end exactly behind it. */
  normalize(): void {
    if (this.#range >>> 0 < RANGE_TOP) {
      if (this.#at >= this.#input.length) throw this.#error("the compressed data ends in the middle");
      this.#range <<= 8;
      this.#code = (this.#code << 8) | this.#input[this.#at++]!;
    }
  }

  #literal(position: number): void {
    const output = this.#output;
    if (output.at >= output.limit) output.reserve(1, this.offset);
    const previous = position > 0 ? output.bytes[output.at - 1]! : 0;
    const context = ((position & this.#literalPositionMask) << this.#lc) | (previous >>> (8 - this.#lc));
    const base = LITERAL + LITERAL_MODELS * context;
    let symbol = 1;
    if (this.#state >= LITERAL_STATES) {
      this.#checkDistance();
      let matched = output.back(this.#rep0 + 1, this.offset);
      do {
        const matchBit = (matched >>> 7) & 1;
        matched <<= 1;
        const bit = this.#bit(base + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      } while (symbol < 0x100);
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(base + symbol);
    output.bytes[output.at++] = symbol;
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  /** A match length minus two. */
  #length(models: number, positionState: number): number {
    if (this.#bit(models + LENGTH_CHOICE) === 0) {
      return this.#tree(models + LENGTH_LOW_TREES + positionState * LENGTH_LOW, 3);
    }
    if (this.#bit(models + LENGTH_CHOICE2) === 0) {
      return 8 + this.#tree(models + LENGTH_MID_TREES + positionState * LENGTH_LOW, 3);
    }
    return 16 + this.#tree(models + LENGTH_HIGH_TREE, 8);
  }

  /** A match distance minus one, as an unsigned 32-bit number. */
  #distance(length: number): number {
    const slot = this.#tree(DISTANCE_SLOT + Math.min(length, 3) * DISTANCE_SLOTS, 6);
    if (slot < FIRST_MODELLED_SLOT) return slot;
    const bits = (slot >>> 1) - 1;
    const high = (2 | (slot & 1)) << bits;
    if (slot < FIRST_DIRECT_SLOT) {
      return high + this.#reverseTree(DISTANCE_SPECIAL + high - slot, bits);
    }
    const middle = this.#direct(bits - ALIGN_BITS) << ALIGN_BITS;
    return (high + middle + this.#reverseTree(ALIGN, ALIGN_BITS)) >>> 0;
  }

  #error(message: string): StreamError {
    return new StreamError(message, this.offset);
  }

  #checkDistance(): void {
    const available = Math.min(this.#output.length - this.#dictionaryStart, this.#dictionarySize);
    if (this.#rep0 >= available) {
      throw this.#error(`a match reaches ${this.#rep0 + 1} bytes back, before its dictionary`);
    }
  }

  #copy(length: number, stop: number): void {
    this.#checkDistance();
    const output = this.#output;
    if (length > stop - output.length) throw this.#error("a match reaches past the end of its data");
    output.copy(this.#rep0 + 1, length, this.offset);
  }

  /** One bit under the model at `index`. */
  #bit(index: number): number {
    this.normalize();
    const models = this.#models;
    const probability = models[index]!;
    const range = this.#range >>> 0;
    const bound = (range >>> PROBABILITY_BITS) * probability;
    const code = this.#code >>> 0;
    if (code < bound) {
      this.#range = bound | 0;
      models[index] = probability + (((1 << PROBABILITY_BITS) - probability) >>> MOVE_BITS);
      return 0;
    }
    this.#range = (range - bound) | 0;
    this.#code = (code - bound) | 0;
    models[index] = probability - (probability >>> MOVE_BITS);
    return 1;
  }

  #tree(base: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.#bit(base + symbol);
    return symbol - (1 << bits);
  }

  #reverseTree(base: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(base + node);
      node = (node << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  /** `count` bits of equal probability. */
  #direct(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      this.normalize();
      const half = this.#range >>> 1;
      this.#range = half;
      const bit = this.#code >>> 0 >= half ? 1 : 0;
      if (bit) this.#code = ((this.#code >>> 0) - half) | 0;
      value = (value << 1) | bit;
    }
    return value;
  }
}
