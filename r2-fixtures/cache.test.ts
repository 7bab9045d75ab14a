/*
 * The cache promises three things: what it hands out is intact, what was damaged is noticed, and writers that run at
 * the same time do not hurt each other. Each is tried here on a folder of its own, with the damage done on disk.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FixtureCache, type LockEntry, sha256Hex } from "./cache.ts";

const DATA = new TextEncoder().encode("a kernel, say");
const LOCK: LockEntry = {
  requested: "meta",
  package: "real",
  version: "1-2",
  debSha256: "00",
  member: "boot/vmlinuz",
  sha256: sha256Hex(DATA),
  bytes: DATA.length,
};

let root = "";
let cache = new FixtureCache("");

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cache-test-"));
  cache = new FixtureCache(root);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("FixtureCache", () => {
  test("gives back what was put, under a path that ends in its name", async () => {
    const put = await cache.put("boot/vmlinuz", DATA);
    expect(put).toEqual(await cache.get("boot/vmlinuz", sha256Hex(DATA)));
    expect(put.path).toMatch(/-vmlinuz$/);
    expect(new Uint8Array(readFileSync(put.path))).toEqual(DATA);
  });

  test("a damaged file is as good as none, and is repaired by the next put", async () => {
    const { path, sha256 } = await cache.put("vmlinuz", DATA);
    writeFileSync(path, "something else");
    expect(await cache.get("vmlinuz", sha256)).toBeUndefined();
    await cache.put("vmlinuz", DATA);
    expect(await cache.get("vmlinuz", sha256)).toBeDefined();
  });

  test("a lock entry is kept; a damaged one, or another package's, is as good as none", async () => {
    await cache.writeLock(LOCK);
    expect(await cache.readLock("meta")).toEqual(LOCK);
    expect(await cache.readLock("other")).toBeUndefined();
    const path = join(root, "lock", "meta.json");
    for (const text of ["{", "null", JSON.stringify({ ...LOCK, requested: "other" }), JSON.stringify({})]) {
      writeFileSync(path, text);
      expect(await cache.readLock("meta"), text).toBeUndefined();
    }
  });

  test("writers at the same time leave one intact file and nothing behind", async () => {
    const big = new Uint8Array(3_000_000).fill(7);
    const writers = Array.from({ length: 8 }, () => new FixtureCache(root).put("big", big));
    const paths = new Set((await Promise.all(writers)).map(({ path }) => path));
    expect(paths.size).toBe(1);
    expect(await cache.get("big", sha256Hex(big))).toBeDefined();
    expect(readdirSync(join(root, "tmp"))).toEqual([]);
  });
});
