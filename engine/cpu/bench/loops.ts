/**
 * What the four loops of loops.S are given, what they must give back, and how many instructions they take.
 *
 * Results and counts are worked out here from what the loops are for, not from their machine code: a core that runs
 * them wrongly does not agree by accident.
 */
import { DESTINATION_BUFFER, SIEVE_ARRAY, SOURCE_BUFFER } from "./layout.ts";

export const LOOP_NAMES = ["crc", "copy", "fibonacci", "sieve"] as const;
export type LoopName = (typeof LOOP_NAMES)[number];

/** Distance of two loops in loops.bin, and of a loop's body from its entry: the same numbers are in loops.S. */
const LOOP_BYTES = 0x100;
const BODY_OFFSET = 0x10;

/** Size of the buffer that crc reads and copy copies. */
export const BUFFER_BYTES = 0x1_0000;
const CRC_PASSES = 24;
/** Odd, so that the exclusive or of copy does not cancel out. */
const COPY_PASSES = 2801;
const FIBONACCI_INDEX = 33;
const SIEVE_NUMBERS = 0x1_0000;
const SIEVE_PASSES = 81;

const MASK_64 = (1n << 64n) - 1n;

export interface Loop {
  readonly name: LoopName;
  /** Offset in loops.bin of the entry that ends in HLT, and of the subroutine. */
  readonly entry: number;
  readonly body: number;
  /** Parameters; registers that are not named do not matter. */
  readonly registers: {
    readonly rdi: number;
    readonly rsi: number;
    readonly rdx: number;
    readonly rcx: number;
  };
  /** Instructions of the subroutine, its RET included. */
  readonly instructions: number;
  /** RAX at the end. */
  readonly result: bigint;
}

/** The buffer's content: a Weyl sequence through a multiplicative mix, the same on every machine. */
export function bufferContents(): Uint8Array {
  const words = new Uint32Array(BUFFER_BYTES / 4);
  for (let index = 0; index < words.length; index++) {
    const mixed = Math.imul(index + 1, 0x9e37_79b9);
    words[index] = Math.imul(mixed ^ (mixed >>> 15), 0x85eb_ca6b) >>> 0;
  }
  return new Uint8Array(words.buffer);
}

function crcLoop(): Omit<Loop, "name" | "entry" | "body"> {
  // By table, a byte at a time; the loop goes bit by bit.
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) {
      remainder = (remainder >>> 1) ^ ((remainder & 1) === 1 ? 0x82f6_3b78 : 0);
    }
    return remainder;
  });
  const buffer = bufferContents();
  let crc = 0xffff_ffff;
  for (let pass = 0; pass < CRC_PASSES; pass++) {
    for (const byte of buffer) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  }
  const perByte = 4 + 8 * 8 + 2;
  return {
    registers: { rdi: SOURCE_BUFFER + BUFFER_BYTES, rsi: SOURCE_BUFFER, rdx: CRC_PASSES, rcx: 0 },
    instructions: 1 + CRC_PASSES * (1 + BUFFER_BYTES * perByte + 2) + 2,
    result: BigInt(~crc >>> 0),
  };
}

function copyLoop(): Omit<Loop, "name" | "entry" | "body"> {
  let sum = 0n;
  let parity = 0n;
  new BigUint64Array(bufferContents().buffer).forEach((word, index) => {
    if (index % 2 === 0) sum += word;
    else parity ^= word;
  });
  const perPair = 9;
  return {
    registers: { rdi: DESTINATION_BUFFER, rsi: SOURCE_BUFFER, rdx: BUFFER_BYTES, rcx: COPY_PASSES },
    instructions: 2 + COPY_PASSES * (1 + (BUFFER_BYTES / 16) * perPair + 2) + 2,
    result: (sum * BigInt(COPY_PASSES) + parity) & MASK_64,
  };
}

function fibonacciLoop(): Omit<Loop, "name" | "entry" | "body"> {
  let number = 0;
  let next = 1;
  for (let index = 0; index < FIBONACCI_INDEX; index++) [number, next] = [next, number + next];
  // A call for index 0 or 1 is a leaf; there are as many leaves as the next number says, and one inner call less.
  const leaves = next;
  return {
    registers: { rdi: FIBONACCI_INDEX, rsi: 0, rdx: 0, rcx: 0 },
    instructions: leaves * 4 + (leaves - 1) * 14,
    result: BigInt(number),
  };
}

function sieveLoop(): Omit<Loop, "name" | "entry" | "body"> {
  let sum = 0;
  let perPass = 1 + SIEVE_NUMBERS * 4 + 1;
  for (let number = 2; number < SIEVE_NUMBERS; number++) {
    let isPrime = true;
    for (let divisor = 2; isPrime && divisor * divisor <= number; divisor++) isPrime = number % divisor !== 0;
    perPass += 2 + 3;
    if (!isPrime) continue;
    sum += number;
    const marks = Math.max(0, Math.ceil((SIEVE_NUMBERS - number * number) / number));
    perPass += 3 + marks * 5 + 2;
  }
  return {
    registers: { rdi: SIEVE_ARRAY, rsi: SIEVE_NUMBERS, rdx: SIEVE_PASSES, rcx: 0 },
    instructions: 1 + SIEVE_PASSES * (perPass + 2) + 1,
    result: BigInt(sum) * BigInt(SIEVE_PASSES),
  };
}

/** All four loops, in the order of loops.bin. */
export function describeLoops(): readonly Loop[] {
  const parts = [crcLoop(), copyLoop(), fibonacciLoop(), sieveLoop()];
  return LOOP_NAMES.map((name, index) => ({
    name,
    entry: index * LOOP_BYTES,
    body: index * LOOP_BYTES + BODY_OFFSET,
    ...parts[index]!,
  }));
}
