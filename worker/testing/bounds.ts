import type { RunnerBounds } from "../runner/turn.ts";

/** Smaller ones than the product's: a scripted machine needs no time, so its turns end by their instructions. */
export const TEST_BOUNDS: RunnerBounds = {
  turnInstructions: 100_000_000,
  storageBytes: 16 * 1024 * 1024,
};
