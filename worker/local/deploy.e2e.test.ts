import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

/*
 * What docs/deploy.md tells to do, as far as it can be done without an account: wrangler bundles the worker as it is deployed, says
 * what it binds, and makes the tables with the same migrations that the worker makes them with by itself.
 */

const ROOT = join(import.meta.dirname, "..", "..");
const WRANGLER = join(ROOT, "node_modules", ".bin", "wrangler");
const run = promisify(execFile);
/** Of a Worker on the Free plan, compressed; on the paid one it is 10 MB. developers.cloudflare.com/workers/platform/limits */
const MOST_KIB = 3 * 1024;

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "xenner-deploy-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function wrangler(...args: string[]): Promise<string> {
  const { stdout } = await run(WRANGLER, args, {
    cwd: ROOT,
    env: {
      ...process.env,
      // No network, no questions, nothing told to anybody.
      CI: "true",
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      WRANGLER_HIDE_BANNER: "true",
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_SEND_ERROR_REPORTS: "false",
    },
    timeout: 500_000,
  });
  return stdout;
}

test("wrangler deploy --dry-run bundles the worker, within the limits, with all that Env has", async () => {
  const output = await wrangler("deploy", "--dry-run", "--outdir", directory);
  const [, gzip] = /Total Upload: [\d.]+ KiB \/ gzip: ([\d.]+) KiB/.exec(output) ?? [];
  expect(Number(gzip)).toBeGreaterThan(100);
  expect(Number(gzip)).toBeLessThan(MOST_KIB);
  const env = await readFile(join(ROOT, "worker", "env.ts"), "utf8");
  const bound = [...env.matchAll(/readonly (\w+): (?:DurableObjectNamespace|R2Bucket|D1Database|Queue)/g)];
  expect(bound.length).toBeGreaterThan(4);
  for (const [, name] of bound) expect(output).toContain(`env.${name} `);
  const files = await readdir(directory);
  expect(files).toContain("index.js");
  for (const ending of [".wasm", ".elf", ".sql"]) expect(files.join(" ")).toContain(ending);
  // Durable Objects are classes that the bundle must export.
  const toml = await readFile(join(ROOT, "wrangler.toml"), "utf8");
  const bundle = await readFile(join(directory, "index.js"), "utf8");
  const exported = bundle.slice(bundle.search(/export ?\{[^{}]*\};?\s*(\/\/.*\s*)*$/));
  for (const [, name] of toml.matchAll(/class_name = "(\w+)"/g))
    expect(exported).toMatch(new RegExp(`\\b${name}\\b`));
  // One character more than Latin-1 has, and V8 keeps the whole script in two bytes a character.
  expect(bundle).not.toMatch(/[\u0100-\uffff]/);
  const migrated = [...toml.matchAll(/new_sqlite_classes = \[(.*)\]/g)].flatMap(
    ([, names = ""]) => names.match(/\w+/g) ?? [],
  );
  for (const [, name] of toml.matchAll(/class_name = "(\w+)"/g)) expect(migrated).toContain(name);
});

test("wrangler makes the tables that the worker makes, and knows the migrations that the worker made", async () => {
  const made = await wrangler("d1", "migrations", "apply", "xenner", "--local", "--persist-to", directory);
  const names = (await readdir(join(ROOT, "worker", "database", "migrations"))).filter((name) =>
    name.endsWith(".sql"),
  );
  for (const name of names) expect(made).toContain(name);
  const { DatabaseSync } = await import("node:sqlite");
  const { MIGRATION_FILES } = await import("./testing/migrations.ts");
  const files = await readdir(directory, { recursive: true });
  const path = files.find((name) => /miniflare-D1DatabaseObject\/[0-9a-f]{64}\.sqlite$/.test(name));
  const byWrangler = new DatabaseSync(join(directory, path ?? ""));
  const byWorker = new DatabaseSync(":memory:");
  for (const { sql } of MIGRATION_FILES) byWorker.exec(sql);
  const schemaOf = (database: InstanceType<typeof DatabaseSync>): unknown =>
    database
      .prepare(
        "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name <> 'd1_migrations' ORDER BY name",
      )
      .all()
      .map((row) => ({ ...row, sql: String(row.sql).replace(/--.*$/gm, "").replace(/\s+/g, " ") }));
  expect(schemaOf(byWrangler)).toEqual(schemaOf(byWorker));
  const done = byWrangler
    .prepare("SELECT name FROM d1_migrations ORDER BY id")
    .all()
    .map(({ name }) => name);
  expect(done).toEqual(MIGRATION_FILES.map(({ name }) => name));
});
