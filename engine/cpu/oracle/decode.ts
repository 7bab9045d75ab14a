// npm run decode:cpu -- [--count N] [--seed S] [--mode 64|32|16]
//
// Compares our decoder with iced-x86 on every form of the encoding table under random prefixes and operands, and on N random
// byte strings, shared among the modes. Exit code 0 if they agree, 1 if not, 64 for wrong use.

import { DecoderComparer, formsUnderPrefixes, type Mode, randomBytes } from "./decoder-agreement.ts";
import { optionValues, type Usage, wholeNumber } from "./options.ts";

const EACH_FORM = 50;
/** Of each kind. */
const SHOWN = 3;

const usage: Usage = (message) => {
  console.error(`${message}\nusage: npm run decode:cpu -- [--count N] [--seed S] [--mode 64|32|16]`);
  process.exit(64);
};

function main(): void {
  const known = {
    count: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    mode: { type: "string" },
  } as const;
  const values = optionValues(known, usage);
  const all: Mode[] = [64, 32, 16];
  const modes = values.mode === undefined ? all : all.filter((m) => String(m) === values.mode);
  if (modes.length === 0) usage("--mode is 64, 32 or 16");
  const count = wholeNumber(values.count, "count", usage);
  const seed = wholeNumber(values.seed, "seed", usage);
  let differences = 0;
  const kinds = new Map<string, number>();
  const started = performance.now();
  for (const [i, mode] of modes.entries()) {
    const comparer = new DecoderComparer(mode, seed);
    let before = 0;
    const run = (what: string, strings: Iterable<Uint8Array>): void => {
      let n = 0;
      const { compared, valid, left } = comparer;
      for (const bytes of strings) {
        n++;
        const difference = comparer.compare(bytes);
        if (difference === undefined) continue;
        differences++;
        const kind = difference.slice(difference.lastIndexOf("(")) + difference.slice(0, 2);
        const seen = (kinds.get(kind) ?? 0) + 1;
        kinds.set(kind, seen);
        if (seen <= SHOWN) console.log(difference);
      }
      console.log(
        `${mode}-bit, ${what}: ${n} strings, ${comparer.compared - compared} compared, ${comparer.valid - valid} of them ` +
          `instructions with operands, ${comparer.left - left} left to the models; ${differences - before} differ`,
      );
      before = differences;
    };
    run("forms", formsUnderPrefixes(mode, seed, EACH_FORM));
    const share = Math.floor(count / modes.length) + (i < count % modes.length ? 1 : 0);
    run("random", randomBytes(seed + mode, share));
    console.log(`${mode}-bit: ${comparer.codes.size} instruction codes`);
  }
  console.log(`${((performance.now() - started) / 1000).toFixed(0)} s, ${differences} differences`);
  process.exitCode = differences > 0 ? 1 : 0;
}

main();
