import { describe, expect, test } from "vitest";
import {
  encodeSnapshotEnd,
  encodeSnapshotHeader,
  encodeSnapshotRecord,
  RECORD_STATE,
  SnapshotError,
  type SnapshotItem,
  SnapshotParser,
} from "./snapshot-format.ts";

/*
 * The bytes of a snapshot's file. What was put in comes out, however the file is cut into pieces on its way; a file that
 * breaks off is never taken for a whole one; and records that are out of order or twice there are refused. The layout is
 * written down once more here, by hand, so that a change of it is noticed.
 */

const HEADER = { hello: "Grüße", n: 2 ** 52 };
const STATE = Uint8Array.of(1, 2, 3, 4, 5);
const SHA256 = Uint8Array.from({ length: 32 }, (_, i) => i);

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const FILE = join(
  encodeSnapshotHeader(HEADER),
  encodeSnapshotRecord(RECORD_STATE, STATE, 5),
  encodeSnapshotRecord(0, Uint8Array.of(9, 9, 9), 65536),
  encodeSnapshotRecord(7, Uint8Array.of(8), 1),
  encodeSnapshotEnd(3, SHA256),
);

function parse(pieces: Iterable<Uint8Array>): SnapshotItem[] {
  const parser = new SnapshotParser();
  const items = [...pieces].flatMap((piece) => parser.push(piece));
  parser.finish();
  return items;
}

function* cut(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** What parsing throws. */
function errorOf(bytes: Uint8Array): SnapshotError {
  try {
    parse([bytes]);
  } catch (error) {
    if (error instanceof SnapshotError) return error;
    throw error;
  }
  return expect.unreachable("it was taken");
}

describe("a file", () => {
  test.each([1, 2, 3, 7, 64, 1000])("cut into pieces of %i bytes says what was put in", (size) => {
    const items = parse(cut(FILE, size));
    expect(items).toMatchObject([
      { kind: "header", header: HEADER },
      { kind: "record", key: RECORD_STATE, data: STATE, rawBytes: 5 },
      { kind: "record", key: 0, data: Uint8Array.of(9, 9, 9), rawBytes: 65536 },
      { kind: "record", key: 7, data: Uint8Array.of(8), rawBytes: 1 },
      { kind: "end", records: 3, sha256: SHA256 },
    ]);
    expect(join(...items.map(({ encoded }) => encoded))).toEqual(FILE);
  });

  test("is laid out as its description says", () => {
    const text = (from: number, to: number): string => new TextDecoder().decode(FILE.subarray(from, to));
    const view = new DataView(FILE.buffer);
    expect(text(0, 8)).toBe("XENNERSN");
    expect(view.getUint32(8, true)).toBe(1);
    const length = view.getUint32(12, true);
    expect(length % 4).toBe(0);
    expect(JSON.parse(text(24, 24 + length))).toEqual(HEADER);
    const state = 24 + length;
    expect([0, 4, 8].map((at) => view.getUint32(state + at, true))).toEqual([0xffff_fffe, 5, 5]);
    expect(FILE.subarray(state + 16, state + 24)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 0, 0, 0));
    expect(view.getUint32(state + 24, true)).toBe(0);
    expect(view.getUint32(FILE.length - 48, true)).toBe(0xffff_ffff);
    expect(FILE.subarray(-32)).toEqual(SHA256);
  });

  test("that breaks off anywhere is not whole", () => {
    for (let length = 0; length < FILE.length; length++) {
      expect(errorOf(FILE.subarray(0, length)).code, `${length} bytes`).toBe("truncated");
    }
  });

  test("with one bit turned anywhere is refused", () => {
    for (let bit = 0; bit < FILE.length * 8; bit++) {
      const changed = FILE.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => parse([changed]), `bit ${bit}`).toThrow(SnapshotError);
    }
  });

  test("of another version says so", () => {
    const changed = FILE.slice();
    changed[8] = 2;
    expect(errorOf(changed)).toMatchObject({
      code: "wrong-version",
      message: expect.stringMatching(/version 2.*version 1/),
    });
  });

  test("that is something else says so at once", () => {
    expect(errorOf(new TextEncoder().encode("ELF")).code).toBe("not-a-snapshot");
  });
});

describe("records", () => {
  const record = (key: number): Uint8Array => encodeSnapshotRecord(key, Uint8Array.of(1), 1);
  const state = record(RECORD_STATE);
  const stories: [string, readonly Uint8Array[], RegExp][] = [
    ["a cluster twice", [state, record(3), record(3)], /cluster 3, behind cluster 3/],
    ["clusters out of order", [state, record(3), record(2)], /cluster 2, behind cluster 3/],
    ["two states", [state, state], /second state/],
    ["pages before the state", [record(1), state], /before the state/],
    ["a record lost", [state, record(1), encodeSnapshotEnd(3, SHA256)], /2 records, but its end says 3/],
    ["something behind the end", [state, encodeSnapshotEnd(1, SHA256), record(1)], /goes on behind its end/],
    [
      "data that gets shorter",
      [encodeSnapshotRecord(RECORD_STATE, Uint8Array.of(1, 2, 3), 2)],
      /cannot become 2/,
    ],
  ];
  test.each(stories)("%s: refused", (_, records, message) => {
    const error = errorOf(join(encodeSnapshotHeader({}), ...records));
    expect(error).toMatchObject({ code: "damaged", message: expect.stringMatching(message) });
  });
});
