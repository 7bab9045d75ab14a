import { describe, expect, test } from "vitest";
import { SpecError } from "../spec-error.ts";
import { BATCH_JOBS } from "./limits.ts";
import { type Combination, expandMatrix } from "./matrix.ts";
import { mergeConfigs } from "./merge.ts";
import { parseBatch, requestOf } from "./schema.ts";
import { summarize, worstVerdict } from "./summary.ts";

/*
 * What a batch comes to. A matrix is expanded as GitHub documents it for its workflows; their own example is the judge. A
 * field that is wrong is named by its path, as a matrix has many that look alike.
 */

describe("a matrix", () => {
  test("GitHub's example of include", () => {
    // "Example: Expanding or adding matrix configurations", docs.github.com, with the result it gives.
    const { combinations } = expandMatrix({
      axes: { fruit: ["apple", "pear"], animal: ["cat", "dog"] },
      include: [
        { color: "green" },
        { color: "pink", animal: "cat" },
        { fruit: "apple", shape: "circle" },
        { fruit: "banana" },
        { fruit: "banana", animal: "cat" },
      ],
      exclude: [],
    });
    expect(combinations).toEqual([
      { fruit: "apple", animal: "cat", color: "pink", shape: "circle" },
      { fruit: "apple", animal: "dog", color: "green", shape: "circle" },
      { fruit: "pear", animal: "cat", color: "pink" },
      { fruit: "pear", animal: "dog", color: "green" },
      { fruit: "banana" },
      { fruit: "banana", animal: "cat" },
    ]);
  });

  test("GitHub's example of exclude: a part of the values is enough, and include comes afterwards", () => {
    const axes = {
      os: ["macos-latest", "windows-latest"],
      version: [12, 14, 16],
      environment: ["staging", "production"],
    };
    const exclude = [
      { os: "macos-latest", version: 12, environment: "production" },
      { os: "windows-latest", version: 16 },
    ];
    const { combinations } = expandMatrix({ axes, include: [], exclude });
    // "each of the nine jobs", it says there.
    expect(combinations).toHaveLength(9);
    const back = { os: "windows-latest", version: 16, environment: "staging" };
    expect(expandMatrix({ axes, include: [back], exclude }).combinations).toContainEqual(back);
  });

  test("only include; values that are objects are compared by what they are", () => {
    expect(expandMatrix({ axes: {}, include: [{ a: 1 }, { a: 2 }], exclude: [] }).combinations).toEqual([
      { a: 1 },
      { a: 2 },
    ]);
    const kernels = [
      { sha256: "a", x: 1 },
      { sha256: "b", x: 1 },
    ];
    const { combinations, idle } = expandMatrix({
      axes: { kernel: kernels },
      include: [],
      exclude: [{ kernel: { x: 1, sha256: "a" } }, { kernel: { sha256: "a" } }],
    });
    expect(combinations).toEqual([{ kernel: kernels[1] }]);
    expect(idle).toEqual([1]);
  });

  test("agrees with a slow one that is written after the documentation's words, on random matrices", () => {
    let state = 12345;
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >> 8) % below;
    };
    for (let round = 0; round < 300; round++) {
      const names = ["a", "b", "c"].slice(0, 1 + random(3));
      const axes = Object.fromEntries(names.map((name) => [name, [0, 1, 2].slice(0, 1 + random(3))]));
      const entry = (): Combination =>
        Object.fromEntries(
          ["a", "b", "c", "d"].filter(() => random(2) === 0).map((name) => [name, random(4)]),
        );
      const rules = (): Combination[] =>
        Array.from({ length: random(4) }, entry).filter((rule) => Object.keys(rule).length > 0);
      const include = rules();
      const exclude = rules();
      expect(expandMatrix({ axes, include, exclude }).combinations).toEqual(slowly(axes, include, exclude));
    }
  });
});

function slowly(
  axes: Readonly<Record<string, readonly unknown[]>>,
  include: readonly Combination[],
  exclude: readonly Combination[],
): unknown[] {
  const originals: Record<string, unknown>[] = [];
  const walk = (names: readonly string[], chosen: Record<string, unknown>): void => {
    const [name, ...rest] = names;
    if (name === undefined) originals.push(chosen);
    else for (const value of axes[name] ?? []) walk(rest, { ...chosen, [name]: value });
  };
  walk(Object.keys(axes), {});
  const kept = originals.filter(
    (combination) =>
      !exclude.some((rule) => Object.keys(rule).every((name) => combination[name] === rule[name])),
  );
  const results = kept.map((combination) => ({ ...combination }));
  const extra: unknown[] = [];
  for (const entry of include) {
    const fitting = kept.flatMap((combination, index) =>
      Object.keys(entry).some((name) => name in combination && combination[name] !== entry[name])
        ? []
        : [index],
    );
    for (const index of fitting) Object.assign(results[index] ?? {}, entry);
    if (fitting.length === 0) extra.push(entry);
  }
  return [...results, ...extra];
}

const A = { fixture: "debian-cloud" };
const B = { fixture: "debian-generic" };

describe("a batch", () => {
  test("is a job for each combination, named by what tells them apart", () => {
    const { members, maxConcurrent, common } = parseBatch({
      name: "nightly",
      config: { labels: { branch: "main" }, limits: { guestSeconds: 5 } },
      matrix: {
        kernel: [A, B],
        cmdline: ["console=hvc0", "console=hvc0 quiet"],
        memory: [128, 256],
        mode: ["pv"],
      },
    });
    expect(members).toHaveLength(8);
    expect(maxConcurrent).toBeGreaterThan(0);
    expect(members[0]?.name).toBe('debian-cloud ("console=hvc0", memory 128)');
    expect(members[7]?.name).toBe('debian-generic ("console=hvc0 quiet", memory 256)');
    expect(new Set(members.map(({ name }) => name)).size).toBe(8);
    expect(requestOf(common, members[7]!)).toEqual({
      kernel: B,
      config: {
        cmdline: "console=hvc0 quiet",
        memory: 256,
        mode: "pv",
        limits: { guestSeconds: 5 },
        labels: { branch: "main", name: members[7]?.name },
      },
    });
  });

  test("names what tells members apart in few words", () => {
    const names = (matrix: unknown) => parseBatch({ kernel: A, matrix }).members.map(({ name }) => name);
    const limits = { guestSeconds: 1 };
    expect(
      names({
        memory: [32, 64],
        include: [
          { memory: 64, limits },
          { memory: 64, cmdline: "x".repeat(60) },
        ],
      }),
    ).toEqual([`debian-cloud (memory 32)`, `debian-cloud (memory 64, "${"x".repeat(47)}…")`]);
    expect(names({ limits: [limits, { guestSeconds: 2 }] })).toEqual([
      'debian-cloud (limits {"guestSeconds":1})',
      'debian-cloud (limits {"guestSeconds":2})',
    ]);
    expect(names({ labels: [{ branch: "main" }, { branch: "next" }], kernel: [A, B] })[3]).toBe(
      "debian-generic (branch next)",
    );
    expect(names({ memory: [32] })).toEqual(["debian-cloud"]);
  });

  test("is a list, each job with the common fields under its own", () => {
    const { members, common } = parseBatch({
      kernel: A,
      initrd: { sha256: "A".repeat(64) },
      config: { memory: 64, expect: { pass: ["a"], fail: ["b"] } },
      jobs: [
        {},
        { kernel: B, config: { memory: 32, expect: { pass: "c" } } },
        { from: { job: "0".repeat(32), snapshot: "prompt" }, config: { labels: { name: "forked" } } },
        { initrd: null },
      ],
    });
    expect(members.map(({ name }) => name)).toEqual([
      "debian-cloud",
      "debian-generic",
      "forked",
      "debian-cloud",
    ]);
    const [plain, other, forked, bare] = members.map((member) => requestOf(common, member));
    expect(plain).toMatchObject({ kernel: A, initrd: { sha256: "A".repeat(64) }, config: { memory: 64 } });
    // The common initrd is for every job that names none.
    expect(other).toEqual({
      kernel: B,
      initrd: { sha256: "A".repeat(64) },
      config: { memory: 32, expect: { pass: "c", fail: ["b"] } },
    });
    expect(forked).not.toHaveProperty("kernel");
    expect(forked).not.toHaveProperty("initrd");
    expect(bare).toMatchObject({ initrd: null });
  });
});

test("what may be written in two ways is the job's own way", () => {
  const steps = [{ send: "a" }];
  const input = [{ send: "b" }];
  const both = (common: Record<string, unknown>, own: Record<string, unknown>) => mergeConfigs(common, own);
  expect(both({ guest: { memory: 64, cpu: "v1" } }, { memory: 32 })).toEqual({ memory: 32, cpu: "v1" });
  expect(both({ memory: 64 }, { guest: { memory: 32 } })).toEqual({ memory: 32 });
  expect(both({ input, labels: { a: "1" } }, { expect: { steps } })).toEqual({
    expect: { steps },
    labels: { a: "1" },
  });
  expect(both({ expect: { steps, pass: ["x"] } }, { input })).toEqual({ expect: { pass: ["x"] }, input });
  // One that contradicts itself is refused when it becomes a job.
  expect(both({}, { memory: 1, guest: { memory: 2 } })).toEqual({ memory: 1, guest: { memory: 2 } });
});

const PUBLIC = { kernel: A, config: { visibility: "public" } };

const WRONG: readonly (readonly [what: unknown, field: string, code: string])[] = [
  [[], "body", "wrong-type"],
  [{}, "matrix", "missing"],
  [{ matrix: { kernel: [A] }, jobs: [] }, "matrix", "excluded"],
  [{ matrx: {} }, "body.matrx", "unknown-field"],
  [{ matrix: { kernel: [A], memory: [128, 7] } }, "matrix.memory[1]", "out-of-range"],
  [{ matrix: { kernel: [A], memory: [] } }, "matrix.memory", "empty"],
  [{ matrix: { kernel: [A], memry: [128] } }, "matrix.memry", "unknown-field"],
  [{ matrix: { kernel: [A], memory: 128 } }, "matrix.memory", "wrong-type"],
  [{ matrix: { kernel: [A, { fixtur: "x" }] } }, "matrix.kernel[1].fixtur", "unknown-field"],
  [{ matrix: { kernel: [A], cpu: ["v1", "v9"] } }, "matrix.cpu[1]", "bad-cpu"],
  [{ matrix: { memory: [128] } }, "matrix.kernel", "missing"],
  [{ matrix: { kernel: [A], include: [{ memory: 1 }] } }, "matrix.include[0].memory", "out-of-range"],
  [{ matrix: { kernel: [A], exclude: [{ memory: 128 }] } }, "matrix.exclude[0]", "excludes-nothing"],
  [{ matrix: { kernel: [A], exclude: [{ kernel: A }] } }, "matrix", "empty"],
  [{ matrix: {} }, "matrix", "empty"],
  [{ jobs: [] }, "jobs", "empty"],
  [{ jobs: [{ kernel: A }, { kernel: A, config: { memory: "x" } }] }, "jobs[1].config.memory", "wrong-type"],
  [{ jobs: [{ kernel: A, config: 5 }] }, "jobs[0].config", "wrong-type"],
  [{ jobs: [{}] }, "jobs[0].kernel", "missing"],
  [{ jobs: [{ kernel: A, from: { snapshot: "0".repeat(32) } }] }, "jobs[0].kernel", "excluded"],
  [{ kernel: A, config: { memory: 1 }, jobs: [{}] }, "config.memory", "out-of-range"],
  [{ jobs: [{ kernel: A }], maxConcurrent: 0 }, "maxConcurrent", "out-of-range"],
  [{ jobs: [{ kernel: A }], maxConcurrent: "many" }, "maxConcurrent", "out-of-range"],
  [{ jobs: [{ kernel: A }], name: "x".repeat(201) }, "name", "too-long"],
  [{ jobs: Array(BATCH_JOBS.default + 1).fill({ kernel: A }) }, "jobs", "too-many"],
  [{ kernel: A, matrix: { memory: Array(40).fill(9), seed: Array(40).fill(1) } }, "matrix", "too-many"],
  [{ kernel: A, matrix: { memory: Array(257).fill(9) } }, "matrix.memory", "too-many"],
  [{ ...PUBLIC, jobs: [{}, { config: { visibility: "private" } }] }, "jobs[1].config.visibility", "excluded"],
  [{ ...PUBLIC, matrix: { visibility: ["public", "private"] } }, "matrix.visibility[1]", "excluded"],
  [
    { ...PUBLIC, matrix: { memory: [64], include: [{ seed: 1 }, { visibility: "private" }] } },
    "matrix.include[1].visibility",
    "excluded",
  ],
];

describe("a batch that is wrong", () => {
  test.each(WRONG.map(([what, field, code]) => ({ what, field, code })))(
    "$field: $code",
    ({ what, field, code }) => {
      try {
        parseBatch(what);
      } catch (error) {
        expect(error).toBeInstanceOf(SpecError);
        const { field: at, code: is, message } = error as SpecError;
        expect({ field: at, code: is }).toEqual({ field, code });
        expect(message).not.toMatch(/\p{Cc}|undefined/u);
        return;
      }
      expect.unreachable(`this was accepted: ${JSON.stringify(what).slice(0, 200)}`);
    },
  );

  test("but not one whose private jobs are left out, nor a private one with a public job", () => {
    const visibility = ["public", "private"];
    const [only, ...others] = parseBatch({
      ...PUBLIC,
      matrix: { visibility, exclude: [{ visibility: "private" }] },
    }).members;
    expect([only?.config.visibility, others]).toEqual(["public", []]);
    expect(parseBatch({ kernel: A, matrix: { visibility } }).members).toHaveLength(2);
  });

  test("whose long values multiply is refused before it is stored", () => {
    const labels = Array.from({ length: 30 }, (_, i) => ({ a: String(i) }));
    const batch = (seeds: number, send = "x".repeat(16_000)) => ({
      kernel: A,
      matrix: {
        input: [[{ send }], [{ send: `${send}y` }]],
        labels,
        seed: Array.from({ length: seeds }, (_, i) => i),
      },
    });
    expect(parseBatch(batch(2)).members).toHaveLength(120);
    expect(() => parseBatch(batch(20), 2000)).toThrow(/characters long together/);
    // As long as these, but on their way between objects a text with such characters has two bytes for each.
    const long = "ж".repeat(8000);
    expect(parseBatch(batch(30, long), 2000).members).toHaveLength(1800);
    expect(() => parseBatch(batch(33, long), 2000)).toThrow(/bytes long together/);
  });
});

test("the worst verdict wins, and there is none before all have ended", () => {
  expect(worstVerdict({ pass: 3, timeout: 1, skip: 1 })).toBe("timeout");
  expect(worstVerdict({ crash: 1, fail: 7 })).toBe("crash");
  expect(worstVerdict({})).toBe(null);
  expect(summarize(4, {}, false)).toEqual({ state: "queued", verdict: null, worst: null, progress: 0 });
  expect(summarize(4, { pass: 2, fail: 1 }, true)).toEqual({
    state: "running",
    verdict: null,
    worst: "fail",
    progress: 0.75,
  });
  expect(summarize(4, { pass: 3, error: 1 }, true)).toMatchObject({
    state: "ended",
    verdict: "error",
    progress: 1,
  });
});
