import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { STORAGE_LIMITS } from "../limits.ts";
import { createTables } from "./schema.ts";
import { SqlPageStore } from "./sql-page-store.ts";

/*
 * Guest pages in a Durable Object's SQLite. A Map is the judge: whatever is written, dropped from memory, committed or
 * rewound, in whatever order, a read gives what the Map would give. And between two checkpoints the last one stays whole.
 */

const PAGES = 40 * STORAGE_LIMITS.pagesPerRow;

function inObject<T>(action: (storage: DurableObjectStorage) => T): Promise<T> {
  return runInDurableObject(env.JOB_RUNNER.getByName(crypto.randomUUID()), (_, { storage }) => {
    createTables(storage.sql);
    return action(storage);
  });
}

function pageOf(value: number): Uint8Array {
  const page = new Uint8Array(4096);
  if (value !== 0) new Uint32Array(page.buffer).fill(value);
  return page;
}

/** The value a page was filled with. */
function read(store: SqlPageStore, gfn: number): number {
  const page = new Uint8Array(4096).fill(0xee);
  const words = new Uint32Array(page.buffer);
  if (!store.read(gfn, page)) return 0;
  expect(words.every((word) => word === words[0])).toBe(true);
  return words[0] ?? 0;
}

const rowsIn = (storage: DurableObjectStorage, table: string): number =>
  storage.sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${table}`).one().n;

function commit(
  storage: DurableObjectStorage,
  store: SqlPageStore,
  dirty: ReadonlyMap<number, number> = new Map(),
): void {
  storage.transactionSync(() => {
    store.begin();
    for (const [gfn, value] of dirty) store.write(gfn, pageOf(value));
    store.commit();
  });
}

describe("pages", () => {
  test("random writes, commits, rewinds and restarts agree with a Map", () =>
    inObject((storage) => {
      let seed = 4711;
      const random = (n: number): number => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        return Math.floor((seed / 2 ** 32) * n);
      };
      let store = new SqlPageStore(storage.sql);
      let committed = new Map<number, number>();
      let current = new Map<number, number>();
      for (let step = 0; step < 6000; step++) {
        const gfn = random(PAGES);
        const action = random(1000);
        if (action < 700) {
          const value = random(3) === 0 ? 0 : random(2 ** 31);
          store.write(gfn, pageOf(value));
          current.set(gfn, value);
        } else if (action < 990) {
          expect([gfn, read(store, gfn)]).toEqual([gfn, current.get(gfn) ?? 0]);
        } else if (action < 995) {
          const dirty = new Map(
            Array.from({ length: 30 }, () => [random(PAGES), random(2) * random(2 ** 31)]),
          );
          for (const [dirtyGfn, value] of dirty) current.set(dirtyGfn, value);
          commit(storage, store, dirty);
          committed = new Map(current);
        } else {
          // The process is killed: what was not committed is gone.
          store = new SqlPageStore(storage.sql);
          store.rewind();
          current = new Map(committed);
        }
      }
      for (let gfn = 0; gfn < PAGES; gfn++)
        expect([gfn, read(store, gfn)]).toEqual([gfn, current.get(gfn) ?? 0]);
    }));

  test("a commit that breaks off leaves the last checkpoint whole", () =>
    inObject((storage) => {
      const store = new SqlPageStore(storage.sql);
      for (let gfn = 0; gfn < PAGES; gfn++) store.write(gfn, pageOf(1));
      commit(storage, store);
      for (let gfn = 0; gfn < PAGES; gfn++) store.write(gfn, pageOf(2));
      expect(() =>
        storage.transactionSync(() => {
          store.begin();
          for (let gfn = 0; gfn < PAGES; gfn += 2) store.write(gfn, pageOf(3));
          store.commit();
          throw new Error("killed");
        }),
      ).toThrow("killed");
      const again = new SqlPageStore(storage.sql);
      again.rewind();
      for (let gfn = 0; gfn < PAGES; gfn++) expect(read(again, gfn)).toBe(1);
    }));

  test("zero pages are stored as nothing, also where there was something", () =>
    inObject((storage) => {
      const store = new SqlPageStore(storage.sql);
      for (let gfn = 0; gfn < PAGES; gfn++) store.write(gfn, pageOf(0));
      commit(storage, store);
      expect(rowsIn(storage, "page")).toBe(0);
      for (let gfn = 0; gfn < PAGES; gfn++) store.write(gfn, pageOf(7));
      commit(storage, store);
      expect(rowsIn(storage, "page")).toBe(PAGES / STORAGE_LIMITS.pagesPerRow);
      // Enough to go through the overlay as well as straight from the buffer.
      for (let gfn = 0; gfn < PAGES; gfn++) store.write(gfn, pageOf(0));
      expect(read(store, 3)).toBe(0);
      commit(storage, store);
      expect([rowsIn(storage, "page"), rowsIn(storage, "page_overlay")]).toEqual([0, 0]);
    }));

  test("a zero page beside others takes no space either", () =>
    inObject((storage) => {
      const bytes = (): number =>
        storage.sql.exec<{ n: number }>("SELECT total(length(data)) AS n FROM page").one().n;
      const store = new SqlPageStore(storage.sql);
      const kept = [0, 5, STORAGE_LIMITS.pagesPerRow - 1];
      for (let gfn = 0; gfn < STORAGE_LIMITS.pagesPerRow; gfn++) {
        store.write(gfn, pageOf(kept.includes(gfn) ? gfn + 1 : 0));
      }
      commit(storage, store);
      expect(bytes()).toBe(kept.length * 4096 + 4);
      const again = new SqlPageStore(storage.sql);
      for (let gfn = 0; gfn < STORAGE_LIMITS.pagesPerRow; gfn++) {
        expect(read(again, gfn)).toBe(kept.includes(gfn) ? gfn + 1 : 0);
      }
      // One becomes zero, another is zero no more.
      commit(
        storage,
        again,
        new Map([
          [5, 0],
          [6, 9],
        ]),
      );
      expect(bytes()).toBe(kept.length * 4096 + 4);
      expect([4, 5, 6, 7].map((gfn) => read(new SqlPageStore(storage.sql), gfn))).toEqual([0, 0, 9, 0]);
    }));

  test("pages written before the first checkpoint need no overlay, and are gone if it never comes", () =>
    inObject((storage) => {
      const store = new SqlPageStore(storage.sql);
      store.clear();
      for (let gfn = 0; gfn < PAGES * 4; gfn++) store.write(gfn, pageOf(7));
      expect(rowsIn(storage, "page_overlay")).toBe(0);
      expect(rowsIn(storage, "page")).toBeGreaterThan(0);
      expect(read(store, 0)).toBe(7);
      store.rewind();
      expect([rowsIn(storage, "page"), read(store, 0)]).toEqual([0, 0]);
      store.write(1, pageOf(8));
      commit(storage, store);
      for (let gfn = 0; gfn < PAGES * 4; gfn++) store.write(gfn, pageOf(9));
      expect(rowsIn(storage, "page_overlay")).toBeGreaterThan(0);
      store.rewind();
      expect(read(store, 1)).toBe(8);
    }));

  test("clear leaves nothing", () =>
    inObject((storage) => {
      const store = new SqlPageStore(storage.sql);
      for (let gfn = 0; gfn < PAGES * 4; gfn++) store.write(gfn, pageOf(7));
      store.clear();
      expect(read(store, 0)).toBe(0);
      expect([rowsIn(storage, "page"), rowsIn(storage, "page_overlay")]).toEqual([0, 0]);
    }));
});
