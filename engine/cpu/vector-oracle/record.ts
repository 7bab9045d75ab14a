/**
 * Records what this machine's processor makes of the fixed suite, for tests on machines without gcc:
 * `node engine/cpu/vector-oracle/record.ts` writes recorded.json beside this file.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildVectorUnit } from "./machine.ts";
import { Silicon, type VectorCase, type VectorOutcome } from "./silicon.ts";
import { digests, type Kind, vectorKinds, x87Kinds } from "./suite.ts";

const FILE = join(dirname(fileURLToPath(import.meta.url)), "recorded.json");

/** Seed and cases of each encoding of the recorded suite. */
export const RECORDED_SEED = 2009;
export const RECORDED_CASES = 24;
/** Recorded results of transcendental instructions, in full because one unit in the last place is allowed. */
const TRANSCENDENTAL_CASES = 12;

export interface Recording {
  readonly processor: string;
  readonly vector: Readonly<Record<string, string>>;
  readonly x87: Readonly<Record<string, string>>;
  /** For each instruction its cases' results: the first 160 bytes of the FXSAVE image after it, in base64. */
  readonly transcendental: Readonly<Record<string, readonly string[]>>;
}

/** The kinds whose results `recording.transcendental` has. */
export function recordedTranscendentals(): Kind[] {
  return x87Kinds(RECORDED_SEED, TRANSCENDENTAL_CASES, true);
}

export function readRecording(): Recording {
  return JSON.parse(readFileSync(FILE, "utf8")) as Recording;
}

function processorName(): string {
  return /model name\s*:\s*(.*)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown";
}

if (import.meta.main) {
  const silicon = Silicon.build();
  if (silicon === undefined) throw new Error("recording needs gcc and an x86-64 Linux");
  const unit = await buildVectorUnit();
  const run = (cases: readonly VectorCase[]): VectorOutcome[] => silicon.run(cases);
  const recording: Recording = {
    processor: processorName(),
    vector: digests(vectorKinds(unit, RECORDED_SEED, RECORDED_CASES), run),
    x87: digests(x87Kinds(RECORDED_SEED, RECORDED_CASES, false), run),
    transcendental: Object.fromEntries(
      recordedTranscendentals().map((kind) => [
        kind.name,
        silicon.run(kind.cases).map((o) => Buffer.from(o.fx.subarray(0, 160)).toString("base64")),
      ]),
    ),
  };
  writeFileSync(FILE, `${JSON.stringify(recording, null, 1)}\n`);
  silicon.dispose();
}
