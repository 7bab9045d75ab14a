import { join } from "node:path";
import { expect, test } from "vitest";
import { parseStartOptions, UsageError } from "./cli/job-options.ts";
import { stateHashes } from "./state-hashes.ts";

/*
 * The trail of state hashes of `npm start -- --state-hash-every`: two runs of hello leave the same one, another seed
 * leaves another.
 */

const kernel = join(import.meta.dirname, "../../r2-fixtures/hello/hello.elf");

async function trailOf(config: Readonly<Record<string, unknown>>): Promise<string[]> {
  const lines: string[] = [];
  const given = { memory: 16, expect: { pass: ["HELLO-OK"] }, ...config };
  const { verdict } = await stateHashes({ kernel, config: given }, 1, (at, hash) =>
    lines.push(`${at} ${hash}`),
  );
  return [...lines, verdict];
}

test("the same job leaves the same trail", async () => {
  const trail = await trailOf({});
  expect(trail.at(-1)).toBe("pass");
  expect(trail[0]).toMatch(/^\d+ [0-9a-f]{16}$/);
  expect(await trailOf({})).toEqual(trail);
  expect(await trailOf({ seed: "2" })).not.toEqual(trail);
});

test("the option wants a number of instructions, and a guest in this process", () => {
  expect(parseStartOptions(["--state-hash-every", "1_000"]).stateHashEvery).toBe(1000);
  expect(parseStartOptions([]).stateHashEvery).toBeUndefined();
  for (const wrong of [
    ["--state-hash-every", "0"],
    ["--state-hash-every", "x"],
  ]) {
    expect(() => parseStartOptions(wrong)).toThrow(UsageError);
  }
  expect(() => parseStartOptions(["--state-hash-every", "5", "--url", "http://localhost:1"])).toThrow(
    UsageError,
  );
});
