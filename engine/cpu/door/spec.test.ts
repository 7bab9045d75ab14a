// A line of --many is read strictly: defaults where a field is absent, and an error that names the field where it is wrong,
// so that a suite with a typo fails loudly instead of testing something else.

import { describe, expect, test } from "vitest";
import { DEFAULT_MAX, DoorError, parseCase } from "./spec.ts";

const noFiles = (): Uint8Array => {
  throw new DoorError("no files here");
};

describe("a case", () => {
  test("needs nothing but code", () => {
    const c = parseCase({ code: "90 f4" }, noFiles);
    expect([...c.code]).toEqual([0x90, 0xf4]);
    expect(c).toMatchObject({
      name: "",
      mode: 64,
      load: 0x10000n,
      map: [],
      poke: [],
      cpu: "v2",
      max: DEFAULT_MAX,
      dump: [],
    });
    expect(c.set.size).toBe(0);
  });

  test("says everything", () => {
    const c = parseCase(
      {
        name: "all",
        file: "x.bin",
        mode: 16,
        load: "0x600",
        map: [["0xe0000000", 65536]],
        poke: [["0xe0000000", "aabb"]],
        set: { RAX: "0xffffffffffffffff", xmm15: "0x1" },
        cpu: "v1",
        max: "5",
        dump: [["4096", "0x10"]],
      },
      (path) => new TextEncoder().encode(path),
    );
    expect(new TextDecoder().decode(c.code)).toBe("x.bin");
    expect(c.map).toEqual([{ address: 0xe0000000n, bytes: 0x10000n }]);
    expect(c.poke).toEqual([{ address: 0xe0000000n, bytes: Uint8Array.of(0xaa, 0xbb) }]);
    expect([...c.set]).toEqual([
      ["rax", 0xffff_ffff_ffff_ffffn],
      ["xmm15", 1n],
    ]);
    expect(c).toMatchObject({
      mode: 16,
      load: 0x600n,
      cpu: "v1",
      max: 5,
      dump: [{ address: 4096n, bytes: 16n }],
    });
  });

  test.each([
    [{}, /code.*file/],
    [{ code: "9", name: "odd" }, /code/],
    [{ code: "zz" }, /code/],
    [{ code: "90", file: "x" }, /code.*file/],
    [{ code: "90", mode: 48 }, /mode/],
    [{ code: "90", set: { eax: 1 } }, /eax/],
    [{ code: "90", set: { rax: "1g" } }, /set\.rax/],
    [{ code: "90", set: { rax: "0x10000000000000000" } }, /set\.rax.*64 bits/],
    [{ code: "90", set: [1] }, /set/],
    [{ code: "90", name: 5 }, /name/],
    [{ code: "90", max: 1.5 }, /max/],
    [{ code: "90", map: [["0x1000"]] }, /map\[0\]/],
    [{ code: "90", cpu: "v9" }, /cpu/],
    [{ code: "90", maximum: 3 }, /maximum/],
    [{ code: "90", load: -1 }, /load/],
    [[], /object/],
  ])("%j is refused", (json, message) => {
    expect(() => parseCase(json, noFiles)).toThrow(DoorError);
    expect(() => parseCase(json, noFiles)).toThrow(message);
  });
});
