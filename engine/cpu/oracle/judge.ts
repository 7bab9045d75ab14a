// What is made of a case in which the processor and our core differ: it is run again by itself, made small, and written so
// that it can be pasted into a test.

import type { Failure } from "./batch.ts";
import { type Case, defaultState, type Outcome } from "./case.ts";
import { compare, type Difference, describeEnd } from "./compare.ts";
import { CoreRunner } from "./core-runner.ts";
import { describeCase } from "./disassemble.ts";
import { minimize } from "./minimize.ts";
import { Processor } from "./processor.ts";
import { toSource } from "./source.ts";

/** Which path through the core: step by step, or over code that was run before. */
type Path = Pick<Failure, "stepwise" | "warm">;

/** Identifies a kind of failure: the same instruction going wrong in the same way is printed once. */
function signature(c: Case, differences: readonly Difference[]): string {
  const mnemonics = describeCase(c)
    .split("; ")
    .map((i) => i.replace(/^(?:lock|rep\w*|bnd|xacquire|xrelease) /, "").split(" ")[0]);
  return `${mnemonics.join(" ")}: ${differences.map((d) => d.what.replace(/\d+$/, "")).join(",")}`;
}

export class Judge {
  #processor: Processor | undefined;
  #core = new CoreRunner();
  readonly #maxKinds: number;
  /** Distinct kinds of failure. */
  readonly kinds = new Map<string, number>();
  mismatches = 0;

  constructor(maxKinds: number) {
    this.#maxKinds = maxKinds;
  }

  /** The processor's outcome, or undefined if the case kills the harness. */
  async expected(c: Case): Promise<Outcome | undefined> {
    this.#processor ??= new Processor();
    try {
      return (await this.#processor.run([c]))[0];
    } catch {
      this.#processor = undefined;
      return undefined;
    }
  }

  #onCore(c: Case, path: Path): Outcome {
    const core = this.#core;
    if (!path.warm) return core.run(c, path.stepwise);
    core.prepare(c);
    const other = defaultState(c.mode);
    other.rip = c.state.rip;
    core.start(other.bytes, path.stepwise);
    core.rewind();
    core.start(c.state.bytes, path.stepwise);
    const outcome = core.outcome();
    core.finish();
    return outcome;
  }

  async differences(c: Case, path: Path): Promise<readonly Difference[]> {
    const expected = await this.expected(c);
    if (expected === undefined) return [];
    try {
      return compare(c, expected, this.#onCore(c, path));
    } catch (error) {
      this.#core = new CoreRunner();
      const got = error instanceof Error ? error.message : String(error);
      return [{ what: "core", expected: describeEnd(expected), got }];
    }
  }

  #count(kind: string): number {
    const n = (this.kinds.get(kind) ?? 0) + 1;
    this.kinds.set(kind, n);
    return n;
  }

  /** Prints the failure, small, if its kind is new. */
  async report(f: Failure): Promise<void> {
    this.mismatches++;
    if (this.kinds.size >= this.#maxKinds && this.mismatches > 20 * this.#maxKinds) return;
    if (f.case.instructions === 1 && this.#count(signature(f.case, f.differences)) > 1) return;
    const paths: Path[] = [
      { stepwise: f.stepwise, warm: false },
      { stepwise: f.stepwise, warm: true },
    ];
    for (const path of paths) {
      if ((await this.differences(f.case, path)).length === 0) continue;
      const small = await minimize(f.case, async (c) => (await this.differences(c, path)).length > 0);
      const final = await this.differences(small, path);
      if (f.case.instructions > 1 && this.#count(signature(small, final)) > 1) return;
      const how = `${path.stepwise ? " (step by step)" : ""}${path.warm ? " (code that has run before)" : ""}`;
      this.#print(`MISMATCH${how}`, small, final);
      return;
    }
    // Alone it does not differ: what ran before it matters.
    this.#count(`unstable: ${signature(f.case, f.differences)}`);
    this.#print("MISMATCH, not when it runs by itself", f.case, f.differences);
  }

  #print(title: string, c: Case, differences: readonly Difference[]): void {
    console.log(`\n${title} ${describeCase(c)}`);
    for (const d of differences)
      console.log(`  ${d.what}: processor ${d.expected}\n  ${" ".repeat(d.what.length)}  our core  ${d.got}`);
    console.log(`  ${JSON.stringify(toSource(c))}`);
  }

  close(): void {
    this.#processor?.close();
  }
}
