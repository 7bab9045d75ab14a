import { describe, expect, test } from "vitest";
import { checksum, checksumBytes } from "./checksum.ts";

/*
 * The checksum of stored pages. Every single flipped bit of a page shows, exchanged words and cut-off tails show, and
 * pages that differ much have sums that differ much.
 */

function noise(words: number, seed: number): Uint32Array {
  let state = seed;
  return Uint32Array.from({ length: words }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  });
}

describe.each([
  ["zero", new Uint32Array(1024)],
  ["noise", noise(1024, 4711)],
])("a page of %s", (_, page) => {
  const sum = checksum(page);
  const changed = page.slice();

  test("no flipped bit goes unseen", () => {
    for (let bit = 0; bit < page.length * 32; bit++) {
      const word = bit >>> 5;
      changed[word]! ^= 1 << (bit & 31);
      if (checksum(changed) === sum) expect.unreachable(`bit ${bit}`);
      changed[word] = page[word]!;
    }
    expect(checksum(changed)).toBe(sum);
  });

  test("the seed counts", () => {
    expect(checksum(page, 1)).not.toBe(sum);
  });
});

test("two words that change places show", () => {
  const page = noise(1024, 1);
  for (const [i, j] of [
    [0, 1],
    [0, 4],
    [3, 1020],
    [512, 513],
  ] as const) {
    const changed = page.slice();
    [changed[i], changed[j]] = [changed[j]!, changed[i]!];
    expect(checksum(changed)).not.toBe(checksum(page));
  }
});

test("sums of similar pages are spread over all of 32 bits", () => {
  const sums = new Set<number>();
  const high = new Set<number>();
  const page = new Uint32Array(1024);
  for (let n = 0; n < 20_000; n++) {
    page[n % 1024] = n;
    const sum = checksum(page);
    sums.add(sum);
    high.add(sum >>> 24);
  }
  expect(sums.size).toBeGreaterThan(19_990);
  expect(high.size).toBe(256);
});

test("bytes of any length and place", () => {
  const bytes = new Uint8Array(noise(64, 9).buffer);
  const sums = new Set<number>();
  for (let length = 0; length < 64; length++) sums.add(checksumBytes(bytes.subarray(0, length)));
  expect(sums.size).toBe(64);
  const moved = new Uint8Array(70);
  moved.set(bytes.subarray(0, 64), 3);
  expect(checksumBytes(moved.subarray(3, 67))).toBe(checksumBytes(bytes.subarray(0, 64)));
});
