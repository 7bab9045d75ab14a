/**
 * `npm run fuzz:api [-- --requests N] [--seed N] [--json]`: requests made from the OpenAPI document, right ones and wrong ones, to a
 * worker of its own.
 *
 * No answer may be a 5xx, every error must be one sentence with a code, every status and body must be as the document says, the
 * worker must log no rejection that nobody handled, and the jobs that were made must come to their ends. Exit status: 0 so
 * it was, 1 it was not, 64 wrong use.
 */
import { parseArgs } from "node:util";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import { describeComplaint, fuzz, kindsOf } from "./fuzz/run.ts";

const EXIT_COMPLAINTS = 1;
const EXIT_USAGE = 64;
const DEFAULTS = { requests: 20_000, seed: 1, fixture: "hello" } as const;
const SHOWN = 40;
const USAGE = `usage: npm run fuzz:api [-- --requests N] [--seed N] [--json]
  --requests  how many (default ${DEFAULTS.requests})
  --seed      what they follow from (default ${DEFAULTS.seed})
  --json      print one JSON document on standard output`;

function numberOf(text: string | undefined, standard: number): number {
  if (text === undefined) return standard;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${text} is no number of these.`);
  return Number(text);
}

async function main(): Promise<number> {
  let options: { requests: number; seed: number; json: boolean };
  try {
    const { values } = parseArgs({
      options: {
        requests: { type: "string" },
        seed: { type: "string" },
        json: { type: "boolean", default: false },
      },
    });
    options = {
      requests: numberOf(values.requests, DEFAULTS.requests),
      seed: numberOf(values.seed, DEFAULTS.seed),
      json: values.json,
    };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return EXIT_USAGE;
  }
  const fixture = await prepareFixture(DEFAULTS.fixture, { log: () => {} });
  const progress = (done: number): void => console.error(`${done} requests`);
  const result = await fuzz({ requests: options.requests, seed: options.seed, fixture, progress });
  if (options.json) console.log(JSON.stringify(result, null, 2));
  else {
    for (const [operation, statuses] of Object.entries(result.answers).sort())
      console.log(
        `${operation}: ${Object.entries(statuses)
          .map((pair) => pair.join(" x "))
          .join(", ")}`,
      );
    for (const { count, example } of kindsOf(result.complaints).slice(0, SHOWN))
      console.log(`\n${count} x ${describeComplaint(example)}`);
    console.log(
      `\n${result.requests} requests in ${result.seconds.toFixed(0)} s, ${result.jobs} jobs ended, ${result.complaints.length} complaints`,
    );
  }
  return result.complaints.length === 0 ? 0 : EXIT_COMPLAINTS;
}

process.exitCode = await main();
