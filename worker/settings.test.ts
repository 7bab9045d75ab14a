import { expect, test } from "vitest";
import { POOL_LIMITS } from "../engine/limits.ts";
import type { Env } from "./env.ts";
import { HttpError } from "./errors.ts";
import { SETTING_LIMITS } from "./limits.ts";
import { kcidbOriginOf, reportBase, settingsOf } from "./settings.ts";

/* A deployment's variables: defaults, and an error that names the variable and its range for anything else. */

const env = (variables: object): Env => variables as Env;

test("without variables the pool is the default and the clock sets the pace", () => {
  const defaults = { poolPages: POOL_LIMITS.poolPages, sliceInstructions: undefined };
  expect(settingsOf(env({}))).toMatchObject(defaults);
  expect(settingsOf(env({ POOL_MIB: "", SLICE_INSTRUCTIONS: "" }))).toMatchObject(defaults);
  expect(settingsOf(env({ POOL_MIB: "24", SLICE_INSTRUCTIONS: "7000000" }))).toMatchObject({
    poolPages: 6144,
    sliceInstructions: 7_000_000,
  });
});

test("the smallest pool that may be set is one that the core takes", () => {
  const { poolPages } = settingsOf(env({ POOL_MIB: String(SETTING_LIMITS.minPoolMiB) }));
  expect(poolPages).toBe(POOL_LIMITS.minPoolPages);
});

test.each([
  ["POOL_MIB", "1"],
  ["POOL_MIB", "0"],
  ["POOL_MIB", "-5"],
  ["POOL_MIB", "24.5"],
  ["POOL_MIB", "64M"],
  ["POOL_MIB", "1e9"],
  ["SLICE_INSTRUCTIONS", "0"],
  ["SLICE_INSTRUCTIONS", "many"],
])("%s=%s is refused by name", (name, value) => {
  const read = (): unknown => settingsOf(env({ [name]: value }));
  expect(read).toThrow(HttpError);
  expect(read).toThrow(new RegExp(`${name} is "${value}"; set it to a whole number from \\d+ to \\d+`));
});

test("KCIDB reports are a deployment's own, by a name that KCIDB takes", () => {
  expect(kcidbOriginOf({})).toBe("xenner");
  expect(kcidbOriginOf({ KCIDB_ORIGIN: "my_lab2" })).toBe("my_lab2");
  for (const KCIDB_ORIGIN of ["My Lab", "a:b", "x".repeat(65)])
    expect(() => kcidbOriginOf({ KCIDB_ORIGIN })).toThrow(/KCIDB_ORIGIN is/);
});

test("links of reports begin with PUBLIC_URL, else where the request went; a worker of one run has none", () => {
  const requested = "http://127.0.0.1:8787/jobs/0/report.md";
  expect(reportBase({}, requested)).toBe(requested);
  expect(reportBase({ PUBLIC_URL: "https://xenner.example" }, requested)).toBe("https://xenner.example");
  expect(reportBase({ PUBLIC_URL: "none" }, requested)).toBeNull();
});
