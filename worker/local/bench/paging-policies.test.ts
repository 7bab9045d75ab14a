import { expect, test } from "vitest";
import { simulatePolicies } from "./paging-policies.ts";

/* The policies against the textbook's rows of references, worked out by hand. */

test("Belady's own example: FIFO misses more with four frames than with three", () => {
  const references = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];
  expect(simulatePolicies(references, 3)).toMatchObject({ fifo: 9, leastRecentlyUsed: 10, best: 7 });
  expect(simulatePolicies(references, 4)).toMatchObject({ fifo: 10, leastRecentlyUsed: 8, best: 6 });
});

test("a loop one page too long: all but the best miss each time, and the second chance is FIFO", () => {
  const references = Array.from({ length: 40 }, (_, i) => i % 5);
  const { fifo, secondChance, leastRecentlyUsed, best } = simulatePolicies(references, 4);
  expect([fifo, secondChance, leastRecentlyUsed]).toEqual([40, 40, 40]);
  expect(best).toBe(5 + Math.floor(35 / 4));
});

test("a page in use all the time gets its second chance", () => {
  const references = Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? 0 : i));
  const { fifo, secondChance, best } = simulatePolicies(references, 3);
  expect(secondChance).toBeLessThan(fifo);
  expect(best).toBe(31);
});
