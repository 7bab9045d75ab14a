import { createHash, randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { build } from "esbuild";

/** A module as Miniflare takes it. */
export interface WorkerModule {
  readonly type: "ESModule" | "CompiledWasm" | "Data";
  readonly path: string;
  readonly contents: string | Uint8Array<ArrayBuffer>;
}

/** Where the modules' paths are rooted; nothing is written there. */
export const MODULES_ROOT = "/worker";
const ENTRY = join(import.meta.dirname, "..", "index.ts");

/** Names a directory in which bundles are kept that processes of one test run share; its maker removes it when sources change. */
export const BUNDLES_VARIABLE = "XENNER_BUNDLES";

/** What esbuild makes: the script, and the files beside it, names and paths. */
interface Bundle {
  readonly script: string;
  readonly files: readonly (readonly [name: string, path: string])[];
}

/**
 * Bundles worker/index.ts, or another worker's entry, as wrangler would: one ES module, and beside it core.wasm, emu64.elf
 * and the like, which stay files.
 */
export async function bundleWorker(entry: string = ENTRY): Promise<WorkerModule[]> {
  const { script, files } = await sharedBundle(entry);
  const binaries = await Promise.all(
    files.map(async ([name, path]): Promise<WorkerModule> => {
      const type = name.endsWith(".wasm") ? "CompiledWasm" : "Data";
      return { type, path: join(MODULES_ROOT, name), contents: new Uint8Array(await readFile(path)) };
    }),
  );
  return [{ type: "ESModule", path: join(MODULES_ROOT, "index.js"), contents: script }, ...binaries];
}

async function sharedBundle(entry: string): Promise<Bundle> {
  const directory = process.env[BUNDLES_VARIABLE];
  if (directory === undefined) return makeBundle(entry);
  const path = join(directory, `${createHash("sha256").update(entry).digest("hex")}.json`);
  const kept = await readFile(path, "utf8").catch(() => undefined);
  if (kept !== undefined) return JSON.parse(kept) as Bundle;
  const bundle = await makeBundle(entry);
  // Two that make it at once write the same; nobody reads half of it. Without the directory there is just nothing kept.
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, JSON.stringify(bundle))
    .then(() => rename(temporary, path))
    .catch(() => {});
  return bundle;
}

async function makeBundle(entry: string): Promise<Bundle> {
  const files = new Map<string, string>();
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    // The script stays in the isolate's memory as long as it lives: with comments twice as large, and twice that if one of them has
    // a character beyond Latin-1, because V8 keeps such a text in two bytes a character. Names stay, for the sake of stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    charset: "ascii",
    legalComments: "none",
    conditions: ["workerd", "worker", "browser"],
    loader: { ".sql": "text" },
    external: ["cloudflare:*", "node:*"],
    logLevel: "silent",
    plugins: [
      {
        name: "binary-modules",
        setup({ onResolve }) {
          onResolve({ filter: /\.(wasm|elf|bin)$/ }, ({ path, importer }) => {
            const name = basename(path);
            files.set(name, resolve(dirname(importer), path));
            return { path: `./${name}`, external: true };
          });
        },
      },
    ],
  });
  return { script: outputFiles[0]?.text ?? "", files: [...files] };
}
