/*
 * Getting fixtures: first without a network (names, the index format, a machine without package client), then for real:
 * GRUB's small package is fetched twice into an empty cache, once more after the cached file was damaged, and by two
 * callers at once. The real part needs Debian's package client; it is skipped, and says so, where there is none, but
 * not in continuous integration.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { sha256Hex } from "./cache.ts";
import { parseIndexEntry } from "./debian.ts";
import {
  FixtureUnavailable,
  hasPackageClient,
  listFixtures,
  prepareFixture,
  UnknownFixture,
} from "./index.ts";

const FETCH_TIMEOUT_MS = 180_000;
const cacheDir = mkdtempSync(join(tmpdir(), "fixtures-test-"));
afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

describe("without a network", () => {
  test("an unknown name is refused with the known ones", async () => {
    await expect(prepareFixture("debain", { log: () => {}, cacheDir })).rejects.toThrow(UnknownFixture);
    await expect(prepareFixture("debain", { log: () => {}, cacheDir })).rejects.toThrow(/debian-cloud/);
  });

  test("names are unique and every expectation is a valid pattern", () => {
    const names = listFixtures().map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { expect: expectation } of listFixtures()) {
      expect(expectation.pass.length).toBeGreaterThan(0);
      for (const pattern of [...expectation.pass, ...expectation.fail])
        expect(() => new RegExp(pattern)).not.toThrow();
    }
  });

  test("reads the first stanza of the index", () => {
    const stanza = [
      "Package: linux-image-cloud-amd64",
      "Version: 6.1.192-2",
      "Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), kmod:any, a | b",
      "SHA256: 00be",
      "Description: x",
      " Version: not a field",
      "",
      "Package: other",
      "Version: 2",
      "",
    ].join("\n");
    expect(parseIndexEntry(stanza)).toEqual({
      package: "linux-image-cloud-amd64",
      version: "6.1.192-2",
      sha256: "00be",
      depends: ["linux-image-6.1.0-56-cloud-amd64", "kmod", "a"],
    });
    expect(parseIndexEntry("Package: x\nVersion: 1\n")).toBeUndefined();
    expect(parseIndexEntry("")).toBeUndefined();
  });

  test("a machine without package client gets a typed error with a remedy", async () => {
    const path = process.env.PATH;
    process.env.PATH = cacheDir;
    try {
      const error = await prepareFixture("grub-pv", { log: () => {}, cacheDir }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(FixtureUnavailable);
      expect(error).toMatchObject({ code: "no-package-client", fixture: "grub-pv" });
      expect((error as FixtureUnavailable).remedy).toMatch(/hello/);
    } finally {
      process.env.PATH = path;
    }
  });
});

const runnable = (await hasPackageClient()) || process.env.CI === "true";
if (!runnable) console.warn("SKIPPED: no Debian package client here, fetching fixtures is not tested");

describe.skipIf(!runnable)("with the package client", () => {
  test(
    "fetches once, notices damage, and serves callers at the same time",
    async () => {
      const lines: string[] = [];
      const options = { log: (line: string) => lines.push(line), cacheDir };
      const [first, twin] = await Promise.all([
        prepareFixture("grub-pv", options),
        prepareFixture("grub-pv", options),
      ]);
      expect(twin).toEqual(first);
      expect(lines.filter((line) => line.startsWith("downloading"))).toHaveLength(1);
      expect(first.source.package).toBe("grub-xen-host");
      const bytes = readFileSync(first.kernelPath);
      expect(sha256Hex(bytes)).toBe(first.source.kernelSha256);
      expect([...bytes.subarray(0, 5)]).toEqual([0x7f, 0x45, 0x4c, 0x46, 2]);

      lines.length = 0;
      expect(await prepareFixture("grub-pv", options)).toEqual(first);
      expect(lines).toEqual([]);

      bytes[1000]! ^= 1;
      writeFileSync(first.kernelPath, bytes);
      expect(await prepareFixture("grub-pv", options)).toEqual(first);
      expect(lines.join("\n")).toMatch(/damaged/);
      expect(sha256Hex(readFileSync(first.kernelPath))).toBe(first.source.kernelSha256);
    },
    FETCH_TIMEOUT_MS,
  );
});
