import { expect, test } from "vitest";
import { freeBuffer } from "./free-buffer.ts";

/*
 * Memory that is given back at once: V8's own count of array buffers falls with each of them, without a collection.
 */

test("a freed buffer takes no memory", () => {
  const bytes = 64 * 2 ** 20;
  const before = process.memoryUsage().arrayBuffers;
  const buffer = new ArrayBuffer(bytes);
  expect(process.memoryUsage().arrayBuffers - before).toBeGreaterThan(bytes / 2);
  freeBuffer(buffer);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(bytes / 2);
  expect(buffer.byteLength).toBe(0);
});
