import { describe, expect, test } from "vitest";
import { parseConfig, parseReference, parseSha256 } from "./spec.ts";
import { SpecError } from "./spec-error.ts";

/*
 * A configuration is what users type. Whatever is wrong with it, they are told which field it is and what to write instead;
 * whatever they leave out has a fixed default, so that the same job tomorrow is the same job.
 */

const parse = (value: unknown) => parseConfig(value, () => 1_800_000_000.9);

function errorOf(action: () => unknown): SpecError {
  try {
    action();
  } catch (error) {
    if (error instanceof SpecError) return error;
    throw error;
  }
  throw new Error("accepted");
}

test("an empty configuration has every default, and none of them is the time of day", () => {
  expect(parse({})).toEqual(parseConfig(undefined, () => 5));
  expect(parse({})).toMatchObject({
    cmdline: "console=hvc0",
    memory: 128,
    expect: { pass: [], fail: [] },
    seed: "1",
    startTime: 1_767_225_600,
  });
});

test("a parsed configuration parses to itself", () => {
  const config = parse({
    cmdline: "x",
    memory: 64,
    expect: { pass: ["a"] },
    seed: 7,
    startTime: "now",
    limits: { graceSeconds: 0 },
  });
  expect(parse(config)).toEqual(config);
  expect(config.startTime).toBe(1_800_000_000);
});

test("a fixture's defaults give way to what the user says", () => {
  const defaults = { cmdline: "fixture", memory: 256, expect: { pass: ["A"], fail: ["B"] } };
  expect(parseConfig({}, () => 0, defaults)).toMatchObject(defaults);
  expect(parseConfig({ cmdline: "", expect: { pass: [] } }, () => 0, defaults)).toMatchObject({
    cmdline: "",
    expect: { pass: [], fail: ["B"] },
  });
});

test("seeds reach 64 bits", () => {
  expect(parse({ seed: "18446744073709551615" }).seed).toBe("18446744073709551615");
  expect(parse({ seed: "007" }).seed).toBe("7");
});

const wrong: [unknown, string, string, RegExp][] = [
  [[], "wrong-type", "config", /JSON object/],
  ["x", "wrong-type", "config", /a string/],
  [{ cmdlin: "x" }, "unknown-field", "config.cmdlin", /did you mean "cmdline"/],
  [{ Memory: 1 }, "unknown-field", "config.Memory", /did you mean "memory"/],
  [
    { limits: { guestSecond: 1 } },
    "unknown-field",
    "config.limits.guestSecond",
    /did you mean "guestSeconds"/,
  ],
  [{ expect: { passes: [] } }, "unknown-field", "config.expect.passes", /did you mean "pass"/],
  [JSON.parse('{"__proto__": 1}'), "unknown-field", "config.__proto__", /no field/],
  [{ constructor: 1 }, "unknown-field", "config.constructor", /no field/],
  [{ memory: "128" }, "wrong-type", "config.memory", /whole number \(MiB\)/],
  [{ memory: 1.5 }, "wrong-type", "config.memory", /1.5/],
  [{ memory: 0 }, "out-of-range", "config.memory", /between 8 and 512/],
  [{ memory: 1e9 }, "out-of-range", "config.memory", /between/],
  [{ cmdline: 5 }, "wrong-type", "config.cmdline", /string/],
  [{ cmdline: "é".repeat(512) }, "too-long", "config.cmdline", /1024 bytes.*1023/],
  [{ cmdline: "a\0b" }, "bad-character", "config.cmdline", /NUL/],
  [{ expect: { pass: ["("] } }, "bad-pattern", "config.expect.pass[0]", /never closed.*character 0/],
  [{ expect: { fail: ["a", ""] } }, "empty", "config.expect.fail[1]", /remove it/],
  [{ expect: { fail: [5] } }, "wrong-type", "config.expect.fail[0]", /string/],
  [{ expect: { fail: Array(17).fill("a") } }, "too-many", "config.expect.fail", /at most 16/],
  [{ expect: { fail: ["a".repeat(301)] } }, "too-long", "config.expect.fail[0]", /300/],
  [{ expect: { pass: {} } }, "wrong-type", "config.expect.pass", /list/],
  [{ limits: { guestSeconds: -1 } }, "out-of-range", "config.limits.guestSeconds", /between/],
  [{ limits: { instructions: 1.5e3 + 0.1 } }, "wrong-type", "config.limits.instructions", /whole/],
  [{ seed: -1 }, "wrong-type", "config.seed", /2\^64-1/],
  [{ seed: "18446744073709551616" }, "wrong-type", "config.seed", /2\^64-1/],
  [{ seed: 2 ** 60 }, "wrong-type", "config.seed", /as a string/],
  [{ startTime: "then" }, "wrong-type", "config.startTime", /"now"/],
  [{ startTime: -5 }, "out-of-range", "config.startTime", /between/],
  [{ labels: [] }, "wrong-type", "config.labels", /JSON object of labels/],
  [{ labels: { branch: 5 } }, "bad-label", "config.labels.branch", /at most 200 characters/],
  [{ labels: { "a b": "x" } }, "bad-label", "config.labels.a b", /letters, digits/],
  [{ labels: { branch: "x".repeat(201) } }, "bad-label", "config.labels.branch", /200/],
  [
    { labels: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`l${n}`, ""])) },
    "too-many",
    "config.labels",
    /17 labels; at most 16/,
  ],
  [{ seed: "(" }, "wrong-type", "config.seed", /2\^64-1/],
  [{ seed: {} }, "wrong-type", "config.seed", /2\^64-1/],
  [{ startTime: 1.5 }, "wrong-type", "config.startTime", /whole number/],
  [{ mode: "hvm" }, "wrong-type", "config.mode", /must be "pv" or "pvh", but it is "hvm"/],
  [{ stateHashEvery: 5 }, "out-of-range", "config.stateHashEvery", /between/],
  // Of several mistakes the misspelt name comes first, and of several of these the outermost.
  [{ memory: "x", limit: {}, expect: { passes: [] } }, "unknown-field", "config.limit", /"limits"/],
];

describe("what is refused names the field and the remedy", () => {
  for (const [config, code, field, message] of wrong) {
    test(`${JSON.stringify(config)?.slice(0, 60)}`, () => {
      const error = errorOf(() => parse(config));
      expect(error).toMatchObject({ code, field });
      expect(error.message).toMatch(message);
      expect(error.message.length).toBeLessThan(400);
    });
  }
});

test("whatever is sent, the answer is a configuration that parses to itself, or an error that names a field", () => {
  let state = 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >> 8) % below;
  };
  const pick = <T>(list: readonly T[]): T => list[random(list.length)]!;
  const names = [
    ...Object.keys(parse({})),
    "pass",
    "fail",
    "send",
    "expect",
    "name",
    "at",
    "guestSeconds",
    "__proto__",
    "x",
  ];
  const leaves = [
    null,
    true,
    0,
    -1,
    1.5,
    64,
    1e6,
    2 ** 60,
    1e300,
    "",
    "a",
    "(",
    "now",
    "end",
    "9".repeat(20),
    "\u0001\u0002",
    "é".repeat(999),
  ];
  const value = (depth: number): unknown => {
    const kind = depth === 0 ? 0 : random(4);
    if (kind < 2) return pick(leaves);
    if (kind === 2) return Array.from({ length: random(4) }, () => value(depth - 1));
    return JSON.parse(
      `{${Array.from({ length: random(4) }, () => `${JSON.stringify(pick(names))}: ${JSON.stringify(value(depth - 1))}`).join(", ")}}`,
    );
  };
  let good = 0;
  for (let round = 0; round < 5000; round++) {
    const config = value(4);
    try {
      const parsed = parse(config);
      expect(parse(parsed)).toEqual(parsed);
      good++;
    } catch (error) {
      if (!(error instanceof SpecError)) throw new Error(JSON.stringify(config), { cause: error });
      expect(error.field).toMatch(/^config/);
      expect(error.message).toMatch(/^[A-Za-z].*\.$/s);
      expect(error.code).toMatch(/^[a-z-]+$/);
    }
  }
  expect(good).toBeGreaterThan(50);
});

test("a reference names a hash or a fixture, exactly one", () => {
  const hash = "AB".repeat(32);
  expect(parseReference({ sha256: hash }, "kernel")).toEqual({ sha256: hash.toLowerCase() });
  expect(parseReference({ fixture: "hello" }, "kernel")).toEqual({ fixture: "hello" });
  for (const bad of [
    undefined,
    {},
    { sha256: hash, fixture: "hello" },
    { fixture: "../x" },
    { sha256: "12" },
    { url: "x" },
  ]) {
    expect(errorOf(() => parseReference(bad, "kernel")).field).toMatch(/^kernel/);
  }
  expect(errorOf(() => parseSha256(5, "sha256")).message).toMatch(/64 hexadecimal/);
});
