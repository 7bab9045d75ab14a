// System-mode behaviour of the core. Each image sets up descriptor tables, page tables and rings by itself, provokes every
// trap and fault it can think of, and tells what it sees as text. What qemu told when it ran the same image is recorded;
// our core must tell the same, line by line, except where corrections.ts says by which paragraph of the manual qemu is
// wrong. Images called sdm-* hold what qemu cannot run: their expectations come from the manual alone.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CORRECTIONS, corrected } from "./corrections.ts";
import { KNOWN_GAPS } from "./gaps.ts";
import { runOnCore } from "./run.ts";
import { imageNames, recordedPath, sections } from "./suite.ts";

const applied = new Set<unknown>();

for (const image of imageNames()) {
  describe(image, () => {
    const got = sections(runOnCore(image));
    const recorded = sections(readFileSync(recordedPath(image), "utf8"));

    test("tells of the same things in the same order", () => {
      expect(got.map((s) => s.title)).toEqual(recorded.map((s) => s.title));
    });

    for (const [i, section] of recorded.entries()) {
      const want = section.lines.map((line) => {
        const { line: right, rule } = corrected(image, line);
        if (rule !== undefined) applied.add(rule);
        return right;
      });
      const told = got[i]?.lines ?? [];
      const gaps = KNOWN_GAPS.filter((g) => g.image === image);
      if (gaps.some((g) => g.section === section.title)) {
        test.fails(`${section.title}: not done yet`, () => {
          expect(told).toEqual(want);
        });
        continue;
      }
      const missing = want.filter((line) => gaps.some((g) => g.right === line));
      test(section.title, () => {
        expect(told.filter((_, n) => !missing.includes(want[n]!))).toEqual(
          want.filter((line) => !missing.includes(line)),
        );
      });
      for (const line of missing) {
        test.fails(`${section.title}, not done yet: ${line.slice(0, line.indexOf(":"))}`, () => {
          expect(told).toContain(line);
        });
      }
    }
  });
}

test("every correction is still needed", () => {
  expect(CORRECTIONS.filter((c) => !applied.has(c)).map((c) => c.told.source)).toEqual([]);
});
