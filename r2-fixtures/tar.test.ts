/*
 * Kernels come out of packages by way of a tar stream. The reader is given archives made by the system's tar, cut into
 * chunks of awkward sizes, with the long names and paddings that occur in packages; and streams that are cut short.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readTar } from "./tar.ts";

const LONG = `${"directory-with-a-long-name/".repeat(5)}vmlinuz-long`;
let folder = "";
let archive: Uint8Array = new Uint8Array(0);

async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tar-test-"));
  mkdirSync(join(folder, "boot"));
  mkdirSync(join(folder, LONG, ".."), { recursive: true });
  writeFileSync(join(folder, "boot", "vmlinuz-6"), "kernel ".repeat(1000));
  writeFileSync(join(folder, "boot", "config-6"), "x".repeat(512));
  writeFileSync(join(folder, LONG), "long");
  const made = spawnSync("tar", ["--format=gnu", "-c", "-C", folder, "."], { maxBuffer: 1 << 24 });
  expect(made.status).toBe(0);
  archive = made.stdout;
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("readTar", () => {
  test.each([1, 511, 512, 513, 65_536])("finds the file in chunks of %i bytes", async (size) => {
    const members = await readTar(chunks(archive, size), /^boot\/vmlinuz-/);
    expect(members.map(({ name }) => name)).toEqual(["boot/vmlinuz-6"]);
    expect(new TextDecoder().decode(members[0]!.data)).toBe("kernel ".repeat(1000));
  });

  test("joins the long names of GNU tar", async () => {
    const members = await readTar(chunks(archive, 1000), /vmlinuz-long$/);
    expect(members.map(({ name }) => name)).toEqual([LONG]);
  });

  test("a stream cut short, or that is no archive, is an error", async () => {
    await expect(readTar(chunks(archive.subarray(0, 4000), 512), /vmlinuz/)).rejects.toThrow(/^tar: /);
    await expect(readTar(chunks(new Uint8Array(512).fill(65), 512), /x/)).rejects.toThrow(/magic/);
  });
});
