/**
 * `npm run soak [-- --kills N] [--per-boot N] [--seed N] [--fixture NAME] [--mode MODE] [--cmdline TEXT] [--json]`: boots that are killed again and again.
 *
 * First an undisturbed boot, then as many as the kills take. workerd and the node above it get SIGKILL by turns, at moments that
 * follow from the seed: while the domain is built, in the run, in checkpoints, at the end. Every boot must come to the same
 * verdict, console and statistics as the undisturbed one, and a client that follows the console must see it as if nothing had
 * happened. Exit status: 0 all the same, 1 something differs, 2 something could not be run, 64 wrong use.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MODES } from "../../jobs/schema/guest.ts";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import { FIXTURES } from "../../r2-fixtures/manifest.ts";
import { newToken } from "./kept-token.ts";
import { bootWithKills, differences, type KilledBoot } from "./soak/boot.ts";
import { KillableServer } from "./soak/killable-server.ts";
import { planKills, randomFrom } from "./soak/plan.ts";

const EXIT_DIFFERENT = 1;
const EXIT_FAILED = 2;
const EXIT_USAGE = 64;
const DEFAULTS = { kills: 100, perBoot: 10, seed: 1, fixture: "debian-cloud" } as const;
const USAGE = `usage: npm run soak [-- --kills N] [--per-boot N] [--seed N] [--fixture NAME] [--mode MODE] [--cmdline TEXT] [--json]
  --kills     processes killed in all (default ${DEFAULTS.kills})
  --per-boot  at most so many in one boot (default ${DEFAULTS.perBoot})
  --seed      what the moments follow from (default ${DEFAULTS.seed})
  --fixture   the guest (default ${DEFAULTS.fixture})
  --mode      ${MODES.join(", ")} (default: the guest's own, or pv)
  --cmdline   the guest's command line (default: its own)
  --json      print one JSON document on standard output`;

interface SoakOptions {
  readonly kills: number;
  readonly perBoot: number;
  readonly seed: number;
  readonly fixture: string;
  readonly mode: string | undefined;
  readonly cmdline: string | undefined;
  readonly json: boolean;
}

function optionsOf(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kills: { type: "string", default: String(DEFAULTS.kills) },
      "per-boot": { type: "string", default: String(DEFAULTS.perBoot) },
      seed: { type: "string", default: String(DEFAULTS.seed) },
      fixture: { type: "string", default: DEFAULTS.fixture },
      mode: { type: "string" },
      cmdline: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const wholeNumber = (text: string, flag: string, least: number): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least)
      throw new Error(`--${flag} must be a number from ${least} on`);
    return value;
  };
  if (!FIXTURES.some(({ name }) => name === values.fixture)) {
    throw new Error(`--fixture: there is no "${values.fixture}"`);
  }
  if (values.mode !== undefined && !(MODES as readonly string[]).includes(values.mode)) {
    throw new Error(`--mode must be one of ${MODES.join(", ")}`);
  }
  return {
    kills: wholeNumber(values.kills, "kills", 1),
    perBoot: wholeNumber(values["per-boot"], "per-boot", 2),
    seed: wholeNumber(values.seed, "seed", 0),
    fixture: values.fixture,
    mode: values.mode,
    cmdline: values.cmdline,
    json: values.json,
  };
}

const note = (line: string): void => console.error(line);

function describe({ result: { job }, seconds, kills }: KilledBoot): string {
  const { resumes, restarts, interruptions, resumeMilliseconds, checkpoints } = job;
  const slowest = resumeMilliseconds === null ? "" : `, slowest resume ${resumeMilliseconds.most} ms`;
  return (
    `${job.verdict} after ${seconds.toFixed(0)} s and ${kills.length} kills: ${interruptions} turns broken off, ` +
    `${resumes} resumes${slowest}, ${restarts} restarts, ${checkpoints.count} checkpoints`
  );
}

async function soak(options: SoakOptions): Promise<number> {
  const fixture = await prepareFixture(options.fixture, { log: note });
  const directory = await mkdtemp(join(tmpdir(), "xenner-soak-"));
  const server = new KillableServer(directory, newToken());
  const boots: { readonly boot: KilledBoot; readonly differences: readonly string[] }[] = [];
  try {
    await server.start();
    const client = server.client();
    const { memoryMiB: memory, expect, initrdPath } = fixture;
    const { mode = fixture.mode, cmdline = fixture.cmdline } = options;
    const kernel = { sha256: await client.putFile(fixture.kernelPath) };
    const initrd = initrdPath === undefined ? {} : { initrd: { sha256: await client.putFile(initrdPath) } };
    const request = { kernel, ...initrd, config: { mode, cmdline, memory, expect } };

    const undisturbed = await bootWithKills(server, request, [], undefined);
    const reference = undisturbed.result;
    note(`undisturbed: ${describe(undisturbed)}, ${reference.job.instructions} instructions`);
    const plan = planKills(options.kills, options.perBoot, randomFrom(options.seed));
    // A job may end before its last kills; those are made up for in further boots.
    const planMore = randomFrom(options.seed + 1);
    let killed = 0;
    while (killed < options.kills) {
      const kills = plan.shift() ?? planKills(options.kills - killed, options.perBoot, planMore)[0]!;
      const boot = await bootWithKills(server, request, kills.slice(0, options.kills - killed), reference);
      killed += boot.kills.length;
      const found = differences(reference, boot);
      boots.push({ boot, differences: found });
      note(`boot ${boots.length}, ${killed} kills of ${options.kills}: ${describe(boot)}`);
      for (const difference of found) note(`  DIFFERENT: ${difference}`);
    }
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
  const all = boots.flatMap(({ boot }) => boot.kills);
  const count = (key: "phase" | "victim"): Record<string, number> =>
    Object.fromEntries(
      [...new Set(all.map((kill) => kill[key]))].map((value) => [
        value,
        all.filter((kill) => kill[key] === value).length,
      ]),
    );
  const different = boots.filter((boot) => boot.differences.length > 0).length;
  const sum = (of: (boot: KilledBoot) => number): number =>
    boots.reduce((total, { boot }) => total + of(boot), 0);
  const report = {
    fixture: options.fixture,
    mode: options.mode,
    seed: options.seed,
    boots: boots.length,
    different,
    kills: all.length,
    phases: count("phase"),
    victims: count("victim"),
    turnsBrokenOff: sum(({ result }) => result.job.interruptions),
    resumes: sum(({ result }) => result.job.resumes),
    restarts: sum(({ result }) => result.job.restarts),
    slowestResumeMilliseconds: Math.max(
      0,
      ...boots.map(({ boot }) => boot.result.job.resumeMilliseconds?.most ?? 0),
    ),
    differences: boots.flatMap((boot) => boot.differences),
  };
  if (options.json) console.log(JSON.stringify(report, undefined, 2));
  else {
    console.log(
      `${report.kills} kills (${Object.entries({ ...report.phases, ...report.victims })
        .map(([name, n]) => `${n} ${name}`)
        .join(", ")}) in ${report.boots} boots: ` +
        `${report.resumes} resumes (slowest ${report.slowestResumeMilliseconds} ms), ${report.restarts} restarts; ` +
        (different === 0 ? "every boot as if nothing had happened" : `${different} boots DIFFER`),
    );
  }
  return different === 0 ? 0 : EXIT_DIFFERENT;
}

let options: SoakOptions | undefined;
try {
  options = optionsOf(process.argv.slice(2));
} catch (error) {
  note(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  process.exitCode = EXIT_USAGE;
}
if (options !== undefined) {
  try {
    process.exitCode = await soak(options);
  } catch (error) {
    console.error(error);
    process.exitCode = EXIT_FAILED;
  }
}
