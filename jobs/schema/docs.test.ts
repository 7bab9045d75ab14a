import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LIMIT_RANGES } from "../limits.ts";
import { parseConfig } from "../spec.ts";
import { CONFIG } from "./config.ts";

/*
 * README.md's table of a configuration's fields is written by hand, for people. It must name every field the schema has, with
 * the default that the schema fills in.
 */

const readme = readFileSync(join(import.meta.dirname, "..", "..", "README.md"), "utf8");
const rows = new Map(
  [...readme.matchAll(/^\| `([a-zA-Z.]+)` \| (.+?) \|/gm)].map(([, name = "", standard = ""]) => [
    name,
    standard,
  ]),
);
const config = parseConfig({}, () => 0);

/** A default as the table writes it. */
const plain = (text: string | undefined): string =>
  (text ?? "missing").replaceAll("`", "").replace(/(?<=\d) (?=\d)/g, "");

test("every field has a row with its default", () => {
  const flat: [string, unknown][] = Object.keys(CONFIG.shape).flatMap((name): [string, unknown][] => {
    const value = config[name as keyof typeof config];
    if (name === "expect" || name === "limits")
      return Object.entries(value as object).map(([inner, standard]) => [`${name}.${inner}`, standard]);
    return [[name, value]];
  });
  expect(flat.length).toBe(Object.keys(CONFIG.shape).length - 2 + 2 + Object.keys(LIMIT_RANGES).length);
  for (const [name, standard] of flat) {
    const written = plain(rows.get(name)).replaceAll(",", "");
    // The seed is text only because JSON's numbers are too small for it.
    const wanted = name === "seed" ? String(standard) : plain(JSON.stringify(standard));
    expect([name, written]).toEqual([name, wanted]);
  }
});
