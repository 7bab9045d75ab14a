import { expect, test } from "vitest";
import { checkAddress, isPublicAddress, RefusedAddress } from "./address.ts";
import { PUBLIC_CORPUS, SSRF_CORPUS } from "./ssrf-corpus.ts";

/*
 * What can be told from an address alone. The corpus has a trick a line; names that look harmless and are not need a network, and are
 * tested in worker/local/hooks.e2e.test.ts.
 */

const NONE: ReadonlySet<string> = new Set();

test("every address of the corpus is refused", () => {
  const taken = SSRF_CORPUS.filter((text) => {
    try {
      checkAddress(text, NONE);
      return true;
    } catch (error) {
      if (!(error instanceof RefusedAddress)) throw error;
      return false;
    }
  });
  expect(taken).toEqual([]);
  expect(SSRF_CORPUS.length).toBeGreaterThan(130);
});

test("public ones are not", () => {
  for (const text of PUBLIC_CORPUS) expect(checkAddress(text, NONE).href).toMatch(/^https:/);
});

test("what a deployment exempts is that host and that port, and nothing else", () => {
  const exempt = new Set(["127.0.0.1:8123", "[::1]:80"]);
  expect(checkAddress("http://127.0.0.1:8123/hook", exempt).port).toBe("8123");
  expect(checkAddress("http://0x7f.1:8123/hook", exempt).hostname).toBe("127.0.0.1");
  expect(checkAddress("http://[::1]/", exempt).hostname).toBe("[::1]");
  for (const text of [
    "http://127.0.0.1:8124/",
    "http://127.0.0.1/",
    "http://127.0.0.2:8123/",
    "http://localhost:8123/",
    "https://127.0.0.1/",
    "http://x@127.0.0.1:8123/",
  ])
    expect(() => checkAddress(text, exempt), text).toThrow(RefusedAddress);
});

test("of what a name resolves to, only public addresses will do", () => {
  for (const text of ["8.8.8.8", "2606:4700::1", "93.184.216.34"])
    expect([text, isPublicAddress(text)]).toEqual([text, true]);
  for (const text of ["127.0.0.1", "::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "x", "", "fe80::1%eth0"])
    expect([text, isPublicAddress(text)]).toEqual([text, false]);
});
