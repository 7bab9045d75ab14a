// npm run fuzz:cpu -- --seconds N --seed S [--only GROUP|MNEMONIC[,…]] [--without GROUP[,…]] [--mode 64|32] [--failures N]
//
// Runs generated cases on this machine's processor and on our core without end, and prints the smallest form of every
// case in which they differ. Exit code 0 if none did, 1 if some did, 2 if there is no oracle here, 64 for wrong use.

import { parseArgs } from "node:util";
import { oracleUnavailable } from "./build.ts";
import type { Case, Outcome } from "./case.ts";
import { compare, type Difference, describeEnd } from "./compare.ts";
import { CoreRunner } from "./core-runner.ts";
import { Generator } from "./generator.ts";
import { minimize } from "./minimize.ts";
import type { Group } from "./offered.ts";
import { Processor } from "./processor.ts";
import { toSource } from "./source.ts";

const BATCH = 512;
const REPORT_EVERY_MS = 10_000;

const list = (s: string | undefined): string[] => (s ?? "").split(",").filter((x) => x !== "");

/** Identifies a kind of failure: the same instruction going wrong in the same way is printed once. */
function signature(c: Case, differences: readonly Difference[]): string {
  const mnemonics = c.text
    .split("; ")
    .map((i) => i.replace(/^(?:lock|rep\w*|bnd|xacquire|xrelease) /, "").split(" ")[0]);
  return `${mnemonics.join(" ")}: ${differences.map((d) => d.what.replace(/\d+$/, "")).join(",")}`;
}

class Fuzz {
  readonly #generator: Generator;
  #processor = new Processor();
  #core = new CoreRunner();
  readonly #seen = new Map<string, number>();
  readonly #maxPrinted: number;
  #stepwise = false;
  cases = 0;
  instructions = 0;
  mismatches = 0;
  crashes = 0;
  readonly ends = new Map<string, number>();

  constructor(generator: Generator, maxPrinted: number) {
    this.#generator = generator;
    this.#maxPrinted = maxPrinted;
  }

  /** Distinct kinds of failure. */
  get kinds(): ReadonlyMap<string, number> {
    return this.#seen;
  }

  async #expected(cases: readonly Case[]): Promise<(Outcome | undefined)[]> {
    try {
      return await this.#processor.run(cases);
    } catch {
      // Some case wrote into the harness. Find it by halves; alone, it is left out.
      this.#processor = new Processor();
      this.crashes++;
      if (cases.length === 1) return [undefined];
      const half = cases.length >> 1;
      return [...(await this.#expected(cases.slice(0, half))), ...(await this.#expected(cases.slice(half)))];
    }
  }

  /** Batches run by turns in one go and step by step: the core has a path of its own for either. */
  #onCore(c: Case): Outcome | Error {
    try {
      return this.#stepwise ? this.#core.run(c, 1) : this.#core.run(c);
    } catch (error) {
      // A trap of the Wasm code leaves the core in an unknown state.
      this.#core = new CoreRunner();
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #differences(c: Case, expected: Outcome): Difference[] {
    const got = this.#onCore(c);
    if (got instanceof Error) return [{ what: "core", expected: describeEnd(expected), got: got.message }];
    return compare(c, expected, got);
  }

  async batch(): Promise<void> {
    this.#stepwise = !this.#stepwise;
    const cases = Array.from({ length: BATCH }, () => this.#generator.next());
    const outcomes = await this.#expected(cases);
    for (const [i, c] of cases.entries()) {
      const expected = outcomes[i];
      if (expected === undefined) continue;
      this.cases++;
      this.instructions += c.instructions;
      const end = expected.kind === "exception" ? `vector ${expected.vector}` : expected.kind;
      this.ends.set(end, (this.ends.get(end) ?? 0) + 1);
      const differences = this.#differences(c, expected);
      if (differences.length > 0) await this.#report(c, differences);
    }
  }

  async #report(c: Case, differences: Difference[]): Promise<void> {
    this.mismatches++;
    if (this.#seen.size >= this.#maxPrinted && this.mismatches > 20 * this.#maxPrinted) return;
    if (c.instructions === 1 && this.#count(signature(c, differences)) > 1) return;
    const small = await minimize(c, async (candidate) => {
      const [expected] = await this.#expected([candidate]);
      return expected !== undefined && this.#differences(candidate, expected).length > 0;
    });
    const [expected] = await this.#expected([small]);
    const final = expected === undefined ? [] : this.#differences(small, expected);
    if (c.instructions > 1 && this.#count(signature(small, final)) > 1) return;
    if (final.length === 0) {
      console.log(`\nUNSTABLE ${c.text}: differs once, then not: ${JSON.stringify(toSource(c))}`);
      return;
    }
    console.log(`\nMISMATCH ${small.text}`);
    for (const d of final)
      console.log(`  ${d.what}: processor ${d.expected}\n  ${" ".repeat(d.what.length)}  our core  ${d.got}`);
    console.log(`  ${JSON.stringify(toSource(small))}`);
  }

  #count(kind: string): number {
    const n = (this.#seen.get(kind) ?? 0) + 1;
    this.#seen.set(kind, n);
    return n;
  }

  close(): void {
    this.#processor.close();
  }
}

function usage(message: string): never {
  console.error(
    `${message}\nusage: npm run fuzz:cpu -- [--seconds N] [--seed S] [--only GROUP|MNEMONIC,…] [--without GROUP,…] [--mode 64|32] [--failures N]`,
  );
  process.exit(64);
}

function count(text: string, name: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0) usage(`--${name} must be a number, not "${text}"`);
  return n;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "60" },
      seed: { type: "string", default: "1" },
      only: { type: "string" },
      without: { type: "string" },
      mode: { type: "string", default: "64" },
      failures: { type: "string", default: "40" },
    },
  });
  const reason = oracleUnavailable();
  if (reason !== undefined) {
    console.error(reason);
    process.exit(2);
  }
  const mode = count(values.mode, "mode");
  if (mode !== 32 && mode !== 64) usage("--mode is 64 or 32");
  const seconds = count(values.seconds, "seconds");
  const generator = new Generator({
    mode,
    seed: count(values.seed, "seed"),
    only: list(values.only),
    without: list(values.without) as Group[],
  });
  const fuzz = new Fuzz(generator, count(values.failures, "failures"));
  const started = performance.now();
  let reported = started;
  const line = (): string => {
    const s = (performance.now() - started) / 1000;
    return (
      `${s.toFixed(0)} s: ${fuzz.cases} cases, ${fuzz.instructions} instructions (${Math.round(fuzz.instructions / s)}/s), ` +
      `${generator.hits.size} instruction codes of ${generator.codes}, ${fuzz.mismatches} mismatches of ${fuzz.kinds.size} kinds`
    );
  };
  while (performance.now() - started < seconds * 1000) {
    await fuzz.batch();
    if (performance.now() - reported > REPORT_EVERY_MS) {
      reported = performance.now();
      console.error(line());
    }
  }
  fuzz.close();
  console.log(`\n${line()}`);
  console.log(`ends: ${[...fuzz.ends].map(([k, n]) => `${k} ${n}`).join(", ")}`);
  if (fuzz.crashes > 0)
    console.log(`cases that hit the harness itself were left out; it was restarted ${fuzz.crashes} times`);
  for (const [kind, n] of [...fuzz.kinds].sort((a, b) => b[1] - a[1])) console.log(`${n}x ${kind}`);
  process.exitCode = fuzz.mismatches > 0 ? 1 : 0;
}

await main();
