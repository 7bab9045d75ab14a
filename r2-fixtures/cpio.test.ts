/*
 * The initramfs is a newc cpio archive that Linux must be able to unpack. Here archives are read back by code that
 * shares nothing with the writer: a parser written from the format's description, and, where it is installed, the
 * real cpio. The archive must also be the same to the byte whenever and wherever it is made.
 */
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { type CpioEntry, writeCpio } from "./cpio.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

const ENTRIES: readonly CpioEntry[] = [
  { kind: "file", name: "init", mode: 0o755, data: encode("#!/bin/sh\n") },
  { kind: "directory", name: "dev", mode: 0o755 },
  { kind: "character-device", name: "dev/console", mode: 0o600, major: 5, minor: 1 },
  { kind: "directory", name: "bin", mode: 0o711 },
  { kind: "file", name: "bin/busybox", mode: 0o755, data: encode("x".repeat(4097)) },
  { kind: "symlink", name: "bin/sh", target: "busybox" },
  { kind: "file", name: "empty", mode: 0o644, data: new Uint8Array(0) },
];

interface Parsed {
  readonly name: string;
  readonly fields: readonly number[];
  readonly data: string;
}

/** Thirteen fields of eight hexadecimal digits after the magic; name and data each padded to four bytes. */
function parse(archive: Uint8Array): Parsed[] {
  const text = new TextDecoder("latin1").decode(archive);
  const found: Parsed[] = [];
  for (let at = 0; ; ) {
    expect(text.slice(at, at + 6)).toBe("070701");
    const fields = Array.from({ length: 13 }, (_, index) =>
      Number.parseInt(text.slice(at + 6 + 8 * index, at + 14 + 8 * index), 16),
    );
    const nameEnd = at + 110 + fields[11]!;
    expect(text[nameEnd - 1]).toBe("\0");
    const name = text.slice(at + 110, nameEnd - 1);
    const dataStart = Math.ceil(nameEnd / 4) * 4;
    const data = text.slice(dataStart, dataStart + fields[6]!);
    at = Math.ceil((dataStart + fields[6]!) / 4) * 4;
    if (name === "TRAILER!!!") return found;
    found.push({ name, fields, data });
  }
}

describe("writeCpio", () => {
  test("an independent parser finds every entry, sorted, with type, mode, data and device number", () => {
    const parsed = parse(writeCpio(ENTRIES));
    expect(
      parsed.map(({ name, fields, data }) => [name, fields[1], data.length, fields[9], fields[10]]),
    ).toEqual([
      ["bin", 0o040711, 0, 0, 0],
      ["bin/busybox", 0o100755, 4097, 0, 0],
      ["bin/sh", 0o120777, 7, 0, 0],
      ["dev", 0o040755, 0, 0, 0],
      ["dev/console", 0o020600, 0, 5, 1],
      ["empty", 0o100644, 0, 0, 0],
      ["init", 0o100755, 10, 0, 0],
    ]);
    expect(parsed.find(({ name }) => name === "bin/sh")?.data).toBe("busybox");
    expect(parsed.find(({ name }) => name === "init")?.data).toBe("#!/bin/sh\n");
    expect(new Set(parsed.map(({ fields }) => fields[0])).size).toBe(ENTRIES.length);
  });

  test("no owner, no time: the order of the entries does not show in the bytes", () => {
    const archive = writeCpio(ENTRIES);
    expect(writeCpio([...ENTRIES].reverse())).toEqual(archive);
    for (const { fields } of parse(archive)) expect([fields[2], fields[3], fields[5]]).toEqual([0, 0, 0]);
  });

  const installed = spawnSync("cpio", ["--version"]).status === 0;
  test.skipIf(!installed && process.env.CI !== "true")("the real cpio lists the same names and kinds", () => {
    const { stdout, status } = spawnSync("cpio", ["-itv"], { input: writeCpio(ENTRIES), encoding: "utf8" });
    expect(status).toBe(0);
    const lines = stdout.trim().split("\n");
    expect(lines.map((line) => line[0])).toEqual(["d", "-", "l", "d", "c", "-", "-"]);
    expect(lines[4]).toMatch(/\b5,\s+1\b.* dev\/console$/);
    expect(lines[2]).toMatch(/bin\/sh -> busybox$/);
  });

  test("names that Linux would drop or that clash are refused", () => {
    const file = (name: string): CpioEntry => ({ kind: "file", name, mode: 0o644, data: encode("") });
    for (const name of ["/init", "a//b", "../a", ".", "", "TRAILER!!!"]) {
      expect(() => writeCpio([file(name)]), name).toThrow(RangeError);
    }
    expect(() => writeCpio([file("a"), file("a")])).toThrow(/twice/);
    expect(() => writeCpio([file("a/b")])).toThrow(/needs a directory a/);
    expect(() => writeCpio([file("a"), file("a/b")])).toThrow(/needs a directory a/);
  });
});
