import { PROFILE_LIMITS } from "../limits.ts";
import type { SampleKind, StackSample, StackWord } from "./sample.ts";

/** Bytes that are no profile of this version. */
export class ProfileError extends Error {
  override readonly name = "ProfileError";
}

const VERSION = 3;
const KINDS: readonly SampleKind[] = ["kernel", "user", "emu"];

/** A sample, and how many intervals it stands for: mostly one; more if one instruction, a long REP, was charged for more. */
export interface CountedSample {
  readonly sample: StackSample;
  readonly intervals: number;
}

/** Where a sample was taken, and where it begins in the bytes. */
interface Taken {
  readonly at: number;
  readonly start: number;
}

/**
 * Samples of one run, the first at or after each multiple of a number of instructions. When there are too many, every other
 * one is dropped and the distance doubles; so a profile is the same however the run was sliced, and its size is bounded.
 */
export class Profile {
  #interval: number;
  /** Instructions at which the run began: a fork begins at its snapshot. */
  readonly #from: number;
  #taken: Taken[] = [];
  /** The samples, encoded: thousands of them as objects would be megabytes, which an isolate has not to spare. */
  #body = new Writer();
  #addresses = new Map<bigint, number>();

  constructor(interval: number, from: number) {
    this.#interval = interval;
    this.#from = from;
  }

  /** Instructions that an interval has. */
  get interval(): number {
    return this.#interval;
  }

  get from(): number {
    return this.#from;
  }

  get samples(): readonly CountedSample[] {
    const addresses = [...this.#addresses.keys()];
    const reader = new Reader(this.#body.bytes());
    let last = this.#from;
    return this.#taken.map(({ at, start }) => {
      const intervals = this.#between(last, at);
      last = at;
      reader.seek(start);
      return { sample: decodeSample(reader, addresses), intervals };
    });
  }

  /** Takes a sample if one is due at this instruction count. */
  at(instructions: number, take: () => StackSample): void {
    if (this.#between(this.#taken.at(-1)?.at ?? this.#from, instructions) < 1) return;
    this.#add(instructions, take());
    if (this.#taken.length > PROFILE_LIMITS.samples) this.#thin();
  }

  #between(before: number, at: number): number {
    return Math.floor(at / this.#interval) - Math.floor(before / this.#interval);
  }

  #add(at: number, { kind, rip, stack }: StackSample): void {
    const body = this.#body;
    this.#taken.push({ at, start: body.length });
    body.number(KINDS.indexOf(kind));
    body.number(this.#indexOf(rip));
    const kept = stack.filter(({ value }) => this.#hasRoomFor(value));
    body.number(kept.length);
    let offset = 0;
    for (const word of kept) {
      body.number((word.offset - offset) / 8);
      offset = word.offset;
      body.number(this.#indexOf(word.value));
    }
  }

  /** Whether an address of a stack is in the dictionary, or put there now. */
  #hasRoomFor(address: bigint): boolean {
    if (!this.#addresses.has(address) && this.#addresses.size >= PROFILE_LIMITS.addresses) return false;
    this.#indexOf(address);
    return true;
  }

  #indexOf(address: bigint): number {
    const index = this.#addresses.get(address) ?? this.#addresses.size;
    this.#addresses.set(address, index);
    return index;
  }

  #thin(): void {
    const taken = this.#taken;
    const samples = this.samples;
    this.#interval *= 2;
    this.#taken = [];
    this.#body = new Writer();
    this.#addresses = new Map();
    let last = this.#from;
    for (const [i, { at }] of taken.entries()) {
      if (this.#between(last, at) < 1) continue;
      this.#add(at, samples[i]!.sample);
      last = at;
    }
  }

  /** The profile as bytes: a dictionary of addresses, then the samples, all numbers as LEB128. */
  save(): Uint8Array {
    const head = new Writer();
    for (const number of [VERSION, this.#interval, this.#from, this.#addresses.size]) head.number(number);
    for (const address of this.#addresses.keys()) head.address(address);
    head.number(this.#taken.length);
    let last = 0;
    for (const { at } of this.#taken) {
      head.number(at - last);
      last = at;
    }
    return join(head.bytes(), this.#body.bytes());
  }

  /** @throws ProfileError */
  static load(bytes: Uint8Array): Profile {
    const reader = new Reader(bytes);
    const version = reader.number();
    if (version !== VERSION) throw new ProfileError(`profile of version ${version}; this is ${VERSION}`);
    const profile = new Profile(reader.number(), reader.number());
    const addresses = Array.from({ length: reader.count() }, () => reader.address());
    let last = 0;
    const moments = Array.from({ length: reader.count() }, () => {
      last += reader.number();
      return last;
    });
    for (const at of moments) profile.#add(at, decodeSample(reader, addresses));
    return profile;
  }
}

/** @throws ProfileError */
function decodeSample(reader: Reader, addresses: readonly bigint[]): StackSample {
  const addressAt = (index: number): bigint => {
    const address = addresses[index];
    if (address === undefined) throw new ProfileError(`there is no address ${index}`);
    return address;
  };
  const kind = KINDS[reader.number()];
  if (kind === undefined) throw new ProfileError("a sample of an unknown kind");
  const rip = addressAt(reader.number());
  const stack: StackWord[] = [];
  let offset = 0;
  for (let words = reader.count(); words > 0; words--) {
    offset += reader.number() * 8;
    stack.push({ offset, value: addressAt(reader.number()) });
  }
  return { kind, rip, stack };
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** Numbers below 2^53, seven bits a byte, least significant first. */
class Writer {
  #bytes = new Uint8Array(4096);
  #length = 0;

  number(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#byte((rest % 0x80) | 0x80);
    this.#byte(rest);
  }

  address(value: bigint): void {
    for (let shift = 0n; shift < 64n; shift += 8n) this.#byte(Number((value >> shift) & 0xffn));
  }

  get length(): number {
    return this.#length;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #byte(value: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = value;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  seek(at: number): void {
    this.#at = at;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      if (scale > 2 ** 45) throw new ProfileError("a number has too many digits");
    }
  }

  /** A number of things that follow, each at least a byte long. */
  count(): number {
    const count = this.number();
    if (count > this.#bytes.length - this.#at) throw new ProfileError("the profile is cut off");
    return count;
  }

  address(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 64n; shift += 8n) value |= BigInt(this.#byte()) << shift;
    return value;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new ProfileError("the profile is cut off");
    return byte;
  }
}
