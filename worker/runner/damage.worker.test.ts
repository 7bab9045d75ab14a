import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Monitor } from "../../jobs/monitor.ts";
import { parseConfig } from "../../jobs/spec.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import { loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { createTables } from "./schema.ts";
import { SqlPageStore } from "./sql-page-store.ts";

/*
 * Damage to storage. A checkpoint with several rows of pages and of state is stored; then one bit of one column of one row
 * is flipped, or a row is lost or exchanged with another. Whatever it was, reading the checkpoint back throws: no run ever
 * goes on from it.
 */

const CLUSTERS = 6;
const PER_ROW = STORAGE_LIMITS.pagesPerRow;
const MONITOR = new Monitor(parseConfig({}, () => 0));

let state = 4711;
function random(n: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
}

function store(storage: DurableObjectStorage): void {
  const pages = new SqlPageStore(storage.sql);
  const page = new Uint8Array(4096);
  storage.transactionSync(() => {
    pages.begin();
    for (let cluster = 1; cluster < CLUSTERS * 2; cluster += 2) {
      for (let i = 0; i < 3; i++) {
        for (let at = 0; at < 64; at++) page[random(4096)] = random(256);
        pages.write(cluster * PER_ROW + random(PER_ROW), page);
      }
    }
    pages.commit();
    const machine = new Uint8Array(STORAGE_LIMITS.stateRowBytes + 5000).map(() => random(256));
    saveCheckpoint(storage.sql, machine, MONITOR, pages.manifest());
  });
}

/** What a resume reads, and every page that the guest could touch. */
function readBack(storage: DurableObjectStorage): void {
  const pages = new SqlPageStore(storage.sql);
  pages.rewind();
  const checkpoint = loadCheckpoint(storage.sql);
  if (checkpoint === undefined) throw new Error("there is no checkpoint");
  if (pages.manifest() !== checkpoint.manifest) throw new Error("other pages than the checkpoint's");
  const page = new Uint8Array(4096);
  for (let gfn = 0; gfn < CLUSTERS * 2 * PER_ROW; gfn += PER_ROW) pages.read(gfn, page);
}

function withStored(action: (storage: DurableObjectStorage) => void): Promise<void> {
  return runInDurableObject(env.JOB_RUNNER.getByName(crypto.randomUUID()), (_, { storage }) => {
    createTables(storage.sql);
    store(storage);
    readBack(storage);
    action(storage);
  });
}

/** Damages storage, tells whether that shows, and undoes it. */
function shows(storage: DurableObjectStorage, damage: () => void): boolean {
  const undo = new Error("undo");
  let seen = false;
  try {
    storage.transactionSync(() => {
      damage();
      try {
        readBack(storage);
      } catch {
        seen = true;
      }
      throw undo;
    });
  } catch (error) {
    if (error !== undo) throw error;
  }
  readBack(storage);
  return seen;
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >>> 3]! ^= 1 << (bit & 7);
  return copy;
}

test("a flipped bit in any blob", () =>
  withStored((storage) => {
    const { sql } = storage;
    for (let n = 0; n < 300; n++) {
      const [table, key] = n % 3 === 0 ? ["checkpoint_part", "seq"] : ["page", "cluster"];
      const rows = sql
        .exec<{ key: number; data: ArrayBuffer }>(`SELECT ${key} AS key, data FROM ${table}`)
        .toArray();
      const row = rows[random(rows.length)]!;
      const bit = random(row.data.byteLength * 8);
      const seen = shows(storage, () =>
        sql.exec(
          `UPDATE ${table} SET data = ? WHERE ${key} = ?`,
          flipped(new Uint8Array(row.data), bit),
          row.key,
        ),
      );
      expect([table, row.key, bit, seen]).toEqual([table, row.key, bit, true]);
    }
  }));

test("a flipped bit in any number or text", () =>
  withStored((storage) => {
    const { sql } = storage;
    const numbers = [
      ["page", "sum", 32],
      ["page", "cluster", 20],
      ["checkpoint", "version", 8],
      ["checkpoint", "sum", 32],
      ["checkpoint_part", "seq", 8],
    ] as const;
    for (const [table, column, bits] of numbers) {
      const rows = sql.exec<{ value: number }>(`SELECT ${column} AS value FROM ${table}`).toArray();
      for (let bit = 0; bit < bits; bit++) {
        const { value } = rows[random(rows.length)]!;
        // SQL has no exclusive or; a key that is taken already cannot come out of it.
        const other = Number(BigInt(value) ^ (1n << BigInt(bit)));
        if (column !== "sum" && rows.some((row) => row.value === other)) continue;
        // The parts' order is what counts of their numbers.
        if (column === "seq" && other > value === (value === rows.length - 1)) continue;
        const seen = shows(storage, () =>
          sql.exec(`UPDATE ${table} SET ${column} = ? WHERE ${column} = ?`, other, value),
        );
        expect([table, column, bit, seen]).toEqual([table, column, bit, true]);
      }
    }
    for (const column of ["monitor", "manifest"]) {
      const [row] = sql.exec<{ text: string }>(`SELECT ${column} AS text FROM checkpoint`).toArray();
      const text = row!.text;
      for (let at = 0; at < text.length; at++) {
        const bit = 1 << random(7);
        const changed =
          text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ bit) + text.slice(at + 1);
        const seen = shows(storage, () => sql.exec(`UPDATE checkpoint SET ${column} = ?`, changed));
        expect([column, at, bit, seen]).toEqual([column, at, bit, true]);
      }
    }
  }));

test("a row that is lost, and rows that change places", () =>
  withStored((storage) => {
    const { sql } = storage;
    for (const [table, key] of [
      ["page", "cluster"],
      ["checkpoint_part", "seq"],
      ["checkpoint", "id"],
    ]) {
      for (const { value } of sql.exec<{ value: number }>(`SELECT ${key} AS value FROM ${table}`).toArray()) {
        expect(shows(storage, () => sql.exec(`DELETE FROM ${table} WHERE ${key} = ?`, value))).toBe(true);
      }
    }
    const exchange = (table: string, key: string, a: number, b: number): void => {
      sql.exec(`UPDATE ${table} SET ${key} = 1000 WHERE ${key} = ?`, a);
      sql.exec(`UPDATE ${table} SET ${key} = ? WHERE ${key} = ?`, a, b);
      sql.exec(`UPDATE ${table} SET ${key} = ? WHERE ${key} = 1000`, b);
    };
    expect(shows(storage, () => exchange("page", "cluster", 1, 3))).toBe(true);
    expect(shows(storage, () => exchange("checkpoint_part", "seq", 0, 1))).toBe(true);
  }));
