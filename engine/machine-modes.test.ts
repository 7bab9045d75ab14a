/*
 * The modes a machine offers: a kernel for one that this build cannot run, or that has not what its mode needs, is refused
 * before anything is built, with what is wrong.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inspectKernel } from "./inspect.ts";
import { LoadError } from "./loader/errors.ts";
import { buildElf, xenNotes } from "./loader/testing/build-elf.ts";
import { checkMode } from "./machine.ts";

const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
/** A module that exports nothing: like a core that cannot be intercepted. */
const EMPTY = new NodeModule(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
const PT_NOTE = 4;
const HELLO = new Uint8Array(readFileSync(`${import.meta.dirname}/../r2-fixtures/hello/hello.elf`));

test("a core that cannot be intercepted runs PV guests only", () => {
  checkMode(EMPTY, "pv");
  expect(() => checkMode(EMPTY, "pvh")).toThrow(
    expect.objectContaining({ code: "mode-not-offered", name: "LoadError" }),
  );
});

test("a PV kernel in mode pvh, and the other way round", async () => {
  const pvh = buildElf({
    segments: [
      { paddr: 0x100000n, bytes: new Uint8Array(64) },
      { type: PT_NOTE, bytes: xenNotes([[18, 0x100000n]]) },
    ],
  });
  const code = (kernel: Uint8Array, mode: "pv" | "pvh") =>
    inspectKernel(kernel, 16, 0, undefined, mode).then(
      () => "accepted",
      (error: unknown) => (error instanceof LoadError ? error.code : error),
    );
  expect(await Promise.all([code(HELLO, "pv"), code(pvh, "pvh")])).toEqual(["accepted", "accepted"]);
  expect(await Promise.all([code(HELLO, "pvh"), code(pvh, "pv")])).toEqual(["no-pvh-entry", "hvm-only"]);
});
