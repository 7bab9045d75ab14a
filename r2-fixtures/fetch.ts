/**
 * `npm run fixtures [-- [--refresh] [NAME ...]]`: gets the named fixtures, or all of them.
 *
 * Exit status: 0 all there, 1 some cannot be had here, 64 wrong use.
 */
import { FixtureUnavailable, listFixtures, prepareFixture } from "./index.ts";

const EXIT_USAGE = 64;

async function main(args: readonly string[]): Promise<number> {
  const known = listFixtures().map((fixture) => fixture.name);
  const names = args.filter((argument) => argument !== "--refresh");
  const wrong = names.filter((name) => !known.includes(name));
  if (wrong.length > 0) {
    console.error(`unknown: ${wrong.join(" ")}\nusage: npm run fixtures [-- [--refresh] [NAME ...]]\nnames:`);
    for (const { name, description } of listFixtures()) console.error(`  ${name.padEnd(15)} ${description}`);
    return EXIT_USAGE;
  }
  let status = 0;
  for (const name of names.length > 0 ? names : known) {
    try {
      const log = (line: string): void => console.log(`${name}: ${line}`);
      const fixture = await prepareFixture(name, { log, refresh: args.includes("--refresh") });
      const from = fixture.source.package;
      console.log(`${name}: ready${from === undefined ? "" : `, ${from} ${fixture.source.version}`}`);
      console.log(`  kernel ${fixture.kernelPath}`);
      if (fixture.initrdPath !== undefined) console.log(`  initrd ${fixture.initrdPath}`);
    } catch (error) {
      if (!(error instanceof FixtureUnavailable)) throw error;
      console.error(error.message);
      status = 1;
    }
  }
  return status;
}

process.exitCode = await main(process.argv.slice(2));
