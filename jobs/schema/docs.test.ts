import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
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

/** Fields of these have rows of their own. */
const GROUPS = ["expect", "limits", "retention"];
/** Other ways of writing fields: they have a row, and nothing in a parsed configuration. */
const ALIASES: Readonly<Record<string, unknown>> = { guest: {}, input: [] };

test("every field has a row with its default", () => {
  const flat = Object.keys(CONFIG.shape).flatMap((name): [string, unknown][] => {
    if (name in ALIASES) return [[name, ALIASES[name]]];
    const value = config[name as keyof typeof config];
    if (GROUPS.includes(name))
      return Object.entries(value as object).map(([inner, standard]) => [`${name}.${inner}`, standard]);
    return [[name, value]];
  });
  expect(flat.map(([name]) => name)).toEqual(
    expect.arrayContaining(["cmdline", "expect.steps", "limits.guestSeconds", "retention.days", "guest"]),
  );
  for (const [name, standard] of flat) {
    const written = plain(rows.get(name)).replaceAll(",", "");
    // The seed is text only because JSON's numbers are too small for it.
    const wanted = name === "seed" ? String(standard) : plain(JSON.stringify(standard));
    expect([name, written]).toEqual([name, wanted]);
  }
});
