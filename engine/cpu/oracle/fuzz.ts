// npm run fuzz:cpu -- --seconds N --seed S [--only GROUP|MNEMONIC[,…]] [--without GROUP[,…]] [--mode 64|32] [--failures N]
//
// Runs generated cases on this machine's processor and on our core without end, and prints the smallest form of every
// case in which they differ. Both modes by turns, unless one is asked for. Exit code 0 if none did, 1 if some did, 2 if
// there is no oracle here, 64 for wrong use.
//
// An instruction counts when it was executed on both sides and the states after it, or after the short run it was part
// of, were compared.

import iced from "iced-x86";
import { type Batch, BatchComparer, caseAt, type Failure, makeBatch } from "./batch.ts";
import { oracleUnavailable } from "./build.ts";
import { Generator } from "./generator.ts";
import { Judge } from "./judge.ts";
import type { Group } from "./offered.ts";
import { optionValues, type Usage, wholeNumber } from "./options.ts";
import { Processor } from "./processor.ts";
import { Random } from "./random.ts";
import { Variations } from "./variations.ts";

/** Cases of a batch: so many codes, each from so many states. */
const TEMPLATES = 96;
const STATES = 8;
/** Batches the oracle may be ahead of the core. */
const AHEAD = 2;
const REPORT_EVERY_MS = 10_000;
/** A stream of random numbers of its own for the start states. */
const VARIATIONS_STREAM = 1000;

type Mode = 32 | 64;

/** A batch on its way: the oracle's responses are undefined if some case killed it. */
interface Sent {
  readonly mode: Mode;
  readonly batch: Batch;
  readonly responses: Promise<Uint8Array | undefined>;
}

/** One mode's generator and what came of its cases. */
class Side {
  readonly generator: Generator;
  readonly comparer = new BatchComparer();
  readonly #variations: Variations;

  constructor(options: ConstructorParameters<typeof Generator>[0]) {
    this.generator = new Generator(options);
    this.#variations = new Variations(new Random(options.seed, options.mode + VARIATIONS_STREAM));
  }

  next(): Batch {
    const templates = Array.from({ length: TEMPLATES }, () => this.generator.next());
    return makeBatch(templates, STATES, this.#variations);
  }

  get codesHit(): number {
    // A prefix may make another instruction of a form.
    const all = this.generator.allCodes;
    return [...this.comparer.tally.codes.keys()].filter((code) => all.has(code)).length;
  }
}

class Fuzz {
  readonly #sides: ReadonlyMap<Mode, Side>;
  #processor = new Processor();
  readonly judge: Judge;
  crashes = 0;

  constructor(sides: ReadonlyMap<Mode, Side>, maxKinds: number) {
    this.#sides = sides;
    this.judge = new Judge(maxKinds);
  }

  #send(mode: Mode, side: Side): Sent {
    const batch = side.next();
    const processor = this.#processor;
    const responses = processor.exchange(batch.requests, TEMPLATES * STATES).catch(() => {
      if (this.#processor === processor) this.#processor = new Processor();
      return undefined;
    });
    return { mode, batch, responses };
  }

  async #take(sent: Sent, side: Side): Promise<void> {
    const responses = await sent.responses;
    const failures: Failure[] = [];
    if (responses === undefined) await this.#oneByOne(sent.batch, failures);
    else side.comparer.compare(sent.batch, responses, (f) => failures.push(f));
    for (const f of failures) await this.judge.report(f);
  }

  /** Some case of the batch wrote into the harness. The others are compared by themselves, and not counted. */
  async #oneByOne(batch: Batch, failures: Failure[]): Promise<void> {
    this.crashes++;
    const view = new DataView(batch.requests.buffer);
    let at = 0;
    for (const template of batch.templates) {
      for (let i = 0; i < batch.states; i++, at += view.getUint32(at, true)) {
        const c = caseAt(batch, template, at);
        const differences = await this.judge.differences(c, { stepwise: false, warm: false });
        if (differences.length > 0) failures.push({ case: c, differences, stepwise: false, warm: false });
      }
    }
  }

  /** Runs until `ended` says so; calls `progress` now and then. */
  async run(ended: () => boolean, progress: () => void): Promise<void> {
    const queue: Sent[] = [];
    for (;;) {
      for (const [mode, side] of this.#sides) {
        if (!ended()) queue.push(this.#send(mode, side));
        while (queue.length > (ended() ? 0 : AHEAD)) {
          const sent = queue.shift()!;
          await this.#take(sent, this.#sides.get(sent.mode)!);
          progress();
        }
      }
      if (queue.length === 0) return;
    }
  }

  close(): void {
    this.#processor.close();
    this.judge.close();
  }
}

const usage: Usage = (message) => {
  console.error(
    `${message}\nusage: npm run fuzz:cpu -- [--seconds N] [--seed S] [--only GROUP|MNEMONIC,…] [--without GROUP,…] [--mode 64|32] [--failures N]`,
  );
  process.exit(64);
};

const list = (s: string | undefined): string[] => (s ?? "").split(",").filter((x) => x !== "");

function options(): { seconds: number; seed: number; failures: number; sides: Map<Mode, Side> } {
  const known = {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    without: { type: "string" },
    mode: { type: "string" },
    failures: { type: "string", default: "40" },
  } as const;
  const values = optionValues(known, usage);
  if (values.mode !== undefined && values.mode !== "64" && values.mode !== "32") usage("--mode is 64 or 32");
  const modes: Mode[] = values.mode === undefined ? [64, 32] : [values.mode === "64" ? 64 : 32];
  const seed = wholeNumber(values.seed, "seed", usage);
  const only = list(values.only);
  const without = list(values.without) as Group[];
  const sides = new Map<Mode, Side>();
  for (const mode of modes) {
    try {
      sides.set(mode, new Side({ mode, seed, only, without }));
    } catch (error) {
      // What is asked for may exist in one of the modes only.
      if (mode === modes.at(-1) && sides.size === 0) usage(error instanceof Error ? error.message : "");
    }
  }
  return {
    seconds: wholeNumber(values.seconds, "seconds", usage),
    seed,
    failures: wholeNumber(values.failures, "failures", usage),
    sides,
  };
}

const CODE_NAMES = new Map(
  Object.entries(iced.Code)
    .filter((e): e is [string, number] => typeof e[1] === "number")
    .map(([name, value]) => [value, name]),
);

function summary(mode: Mode, side: Side): string {
  const { tally } = side.comparer;
  const all = side.generator.allCodes;
  const missed = [...all].filter((code) => !tally.codes.has(code)).map((code) => CODE_NAMES.get(code));
  const regular = [...all].filter((code) => (tally.codes.get(code)?.regular ?? 0) > 0).length;
  const ends = [...tally.ends].sort((a, b) => b[1] - a[1]).map(([k, n]) => `${k} ${n}`);
  return (
    `${mode}-bit mode: ${tally.cases} cases, ${tally.retired} instructions retired, ${tally.faulted} faulted; ` +
    `opcodes hit ${all.size - missed.length} of ${all.size}, ${regular} of them retired at least once` +
    `${missed.length > 0 ? `, not hit: ${missed.join(" ")}` : ""}` +
    `\n  offered, but not for the oracle to judge: ${[...side.generator.leftOut].map((code) => CODE_NAMES.get(code)).join(" ")}` +
    `${tally.left > 0 ? `; ${tally.left} system calls not compared` : ""}\n  ends: ${ends.join(", ")}`
  );
}

async function main(): Promise<void> {
  const reason = oracleUnavailable();
  if (reason !== undefined) {
    console.error(reason);
    process.exit(2);
  }
  const { seconds, failures, sides } = options();
  const fuzz = new Fuzz(sides, failures);
  const started = performance.now();
  let reported = started;
  const line = (): string => {
    const s = (performance.now() - started) / 1000;
    let cases = 0;
    let instructions = 0;
    let hit = 0;
    let all = 0;
    for (const side of sides.values()) {
      cases += side.comparer.tally.cases;
      instructions += side.comparer.tally.instructions;
      hit += side.codesHit;
      all += side.generator.codes;
    }
    return (
      `${s.toFixed(0)} s: ${cases} cases, ${instructions} instructions (${Math.round(instructions / s)}/s), ` +
      `opcodes hit ${hit} of ${all}, ${fuzz.judge.mismatches} mismatches of ${fuzz.judge.kinds.size} kinds`
    );
  };
  await fuzz.run(
    () => performance.now() - started >= seconds * 1000,
    () => {
      if (performance.now() - reported < REPORT_EVERY_MS) return;
      reported = performance.now();
      console.error(line());
    },
  );
  fuzz.close();
  console.log(`\n${line()}`);
  for (const [mode, side] of sides) console.log(summary(mode, side));
  const cpu = process.cpuUsage();
  console.log(`processor time of the core's side: ${((cpu.user + cpu.system) / 1e6).toFixed(0)} s`);
  if (fuzz.crashes > 0)
    console.log(`cases that hit the harness itself were left out; it was restarted ${fuzz.crashes} times`);
  for (const [kind, n] of [...fuzz.judge.kinds].sort((a, b) => b[1] - a[1])) console.log(`${n}x ${kind}`);
  process.exitCode = fuzz.judge.mismatches > 0 ? 1 : 0;
}

await main();
