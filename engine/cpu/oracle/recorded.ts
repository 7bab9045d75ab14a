// The recorded vectors: JSON lines, a header and then pairs of case and outcome (source.ts).

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Case, Outcome } from "./case.ts";
import { type CaseSource, fromSource, type OutcomeSource, outcomeFromSource } from "./source.ts";

export const RECORDED_FILE = join(dirname(fileURLToPath(import.meta.url)), "recorded.jsonl");

export interface RecordedHeader {
  /** The processor that gave the outcomes. */
  readonly processor: string;
  readonly seed: number;
  /** Distinct instruction codes (iced's numbering) among the single-instruction cases, by mode. */
  readonly codes: { readonly 64: number; readonly 32: number };
  readonly cases: number;
}

export interface Recorded {
  readonly header: RecordedHeader;
  readonly vectors: readonly { readonly case: Case; readonly outcome: Outcome }[];
}

export function readRecorded(): Recorded {
  const [header, ...lines] = readFileSync(RECORDED_FILE, "utf8").trimEnd().split("\n");
  return {
    header: JSON.parse(header!) as RecordedHeader,
    vectors: lines.map((line) => {
      const [source, outcome] = JSON.parse(line) as [CaseSource, OutcomeSource];
      const c = fromSource(source);
      return { case: c, outcome: outcomeFromSource(c, outcome) };
    }),
  };
}
