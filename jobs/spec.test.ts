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

test("what the guest's machine is may stand in an object of its own, and says the same there", () => {
  const guest = { memory: 256, mode: "pvh", cpu: "v1", vcpus: 1 } as const;
  expect(parse({ guest })).toEqual(parse(guest));
  expect(parse({ guest: { memory: 64 }, cpu: "v1" })).toMatchObject({ memory: 64, cpu: "v1", mode: "pv" });
  const fixture = { memory: 512 };
  expect(parseConfig({ guest: { memory: 64 } }, () => 0, fixture).memory).toBe(64);
});

test("input is another way of writing steps", () => {
  const input = [{ send: "a" }, { expect: "x", send: "b" }];
  const steps = [{ send: "a" }, { wait: "x", send: "b" }];
  expect(parse({ input })).toEqual(parse({ expect: { steps } }));
  expect(parse({ input: [], expect: { steps } }).expect.steps).toEqual(steps);
});

test("who is told, how long things are kept, who may see them", () => {
  const hook = "https://ci.example.org/hook?a=1";
  expect(parse({}).notify).toEqual([]);
  expect(parse({ notify: [hook, { url: hook, events: ["job.queued"], secret: "ci" }] }).notify).toEqual([
    { url: hook, events: ["job.ended"] },
    { url: hook, events: ["job.queued"], secret: "ci" },
  ]);
  expect(parse({}).retention).toEqual({ days: 30, failedMemoryHours: null });
  expect(parse({ retention: { failedMemoryHours: 0 }, visibility: "public" })).toMatchObject({
    retention: { days: 30, failedMemoryHours: 0 },
    visibility: "public",
  });
});

test("a budget is a number, or more than the last good run", () => {
  expect(parse({}).expect.instructions).toBeNull();
  expect(parse({ expect: { instructions: 3e9 } }).expect.instructions).toBe("3000000000");
  expect(parse({ expect: { instructions: "+0.5%" } }).expect.instructions).toBe("+0.5%");
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
  [JSON.parse('{"labels": {"__proto__": "x"}}'), "bad-label", "config.labels.__proto__", /a label is a name/],
  [
    JSON.parse('{"labels": {"a": "b", "__proto__": {"c": "d"}}}'),
    "bad-label",
    "config.labels.__proto__",
    /a label is a name/,
  ],
  [{ constructor: 1 }, "unknown-field", "config.constructor", /no field/],
  [
    { "\u0001\u0002x": 1 },
    "unknown-field",
    "config.\ufffd\ufffdx",
    /has no field "\ufffd\ufffdx"; did you mean/,
  ],
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
  [
    { expect: { pass: ["a"], fail: Array(15).fill("[ab]{390}"), steps: [{ wait: "b" }] } },
    "too-large",
    "config.expect.fail",
    /5865, all of the job's have 5869, and at most 5000 .*\{n\}/,
  ],
  [
    { input: Array(14).fill({ expect: "[ab]{390}", send: "x" }) },
    "too-large",
    "config.input",
    /leave some out/,
  ],
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
  [{ mode: "kvm" }, "wrong-type", "config.mode", /must be .*"hvm", but it is "kvm"/],
  [{ stateHashEvery: 5 }, "out-of-range", "config.stateHashEvery", /between/],
  [{ vcpus: 2 }, "out-of-range", "config.vcpus", /one virtual processor: set it to 1/],
  [{ vcpus: "1" }, "wrong-type", "config.vcpus", /one virtual processor/],
  [{ guest: { memory: 1 } }, "out-of-range", "config.guest.memory", /between 8 and 512/],
  [{ guest: { memori: 64 } }, "unknown-field", "config.guest.memori", /did you mean "memory"/],
  [
    { memory: 64, guest: { memory: 64 } },
    "contradiction",
    "config.memory",
    /config.memory and config.guest.memory say the same thing; keep one/,
  ],
  [{ expect: { instructions: "0.5%" } }, "bad-budget", "config.expect.instructions", /"\+0.5%"/],
  [{ expect: { instructions: 0 } }, "bad-budget", "config.expect.instructions", /number of instructions/],
  [{ notify: "x" }, "wrong-type", "config.notify", /list of addresses/],
  [{ notify: ["ftp://x/"] }, "bad-url", "config.notify[0]", /HTTP server/],
  [{ notify: ["https://a:b@x/"] }, "bad-url", "config.notify[0]", /password/],
  [{ notify: [{ url: "/x" }] }, "bad-url", "config.notify[0].url", /HTTP server/],
  [{ notify: Array(5).fill("https://x/") }, "too-many", "config.notify", /at most 4/],
  [
    { notify: [{ url: "https://x/", events: ["job.end"] }] },
    "wrong-type",
    "config.notify[0].events[0]",
    /must be "job.queued", "job.running"/,
  ],
  [{ notify: [{ url: "https://x/", events: [] }] }, "too-many", "config.notify[0].events", /is empty/],
  [
    { notify: [{ url: "https://x/", secret: "a b" }] },
    "bad-name",
    "config.notify[0].secret",
    /never the secret/,
  ],
  [{ retention: { days: 0 } }, "out-of-range", "config.retention.days", /between 0.01 and 90/],
  [{ retention: { failedMemoryHours: 1000 } }, "out-of-range", "config.retention.failedMemoryHours", /168/],
  [{ visibility: "open" }, "wrong-type", "config.visibility", /"private" or "public"/],
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
