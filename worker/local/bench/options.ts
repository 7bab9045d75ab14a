/** What can be measured; `--only` chooses among these. */
export const PARTS = [
  "loops-node",
  "loops-workerd",
  "loops-qemu",
  "boot-workerd",
  "boot-qemu",
  "checkpoint-workerd",
] as const;
export type Part = (typeof PARTS)[number];

export interface BenchOptions {
  /** Print one JSON document and nothing else on standard output. */
  readonly json: boolean;
  readonly parts: ReadonlySet<Part>;
  /** How often each loop and each boot is timed; the figure is the median. */
  readonly loopRuns: number;
  readonly bootRuns: number;
}

export const USAGE = `usage: npm run bench [-- --json] [--quick] [--only PART[,PART ...]]
  --json   print one JSON document on standard output
  --quick  time everything once instead of taking medians
  --only   parts: ${PARTS.join(", ")}; or "loops", "boot", "checkpoint" for all of a kind`;

const FULL = { loopRuns: 5, bootRuns: 3 } as const;
const QUICK = { loopRuns: 1, bootRuns: 1 } as const;

/** Wrong use of the command line. */
export class UsageError extends Error {
  constructor(problem: string) {
    super(`${problem}\n${USAGE}`);
    this.name = "UsageError";
  }
}

function partsNamed(list: string): Part[] {
  return list.split(",").flatMap((name) => {
    const named = PARTS.filter((part) => part === name || part.startsWith(`${name}-`));
    if (named.length === 0) throw new UsageError(`--only: there is no part "${name}"`);
    return named;
  });
}

/** Reads the arguments after the script's name. Throws UsageError. */
export function parseOptions(args: readonly string[]): BenchOptions {
  let json = false;
  let runs: { readonly loopRuns: number; readonly bootRuns: number } = FULL;
  const only: Part[] = [];
  for (let index = 0; index < args.length; index++) {
    const argument = args[index]!;
    if (argument === "--json") json = true;
    else if (argument === "--quick") runs = QUICK;
    else if (argument === "--only") {
      const list = args[++index];
      if (list === undefined) throw new UsageError("--only needs a list of parts");
      only.push(...partsNamed(list));
    } else throw new UsageError(`unknown argument "${argument}"`);
  }
  return { json, parts: new Set(only.length > 0 ? only : PARTS), ...runs };
}
