import { readFile } from "node:fs/promises";
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

/**
 * Bundles worker/index.ts, or another worker's entry, as wrangler would: one ES module, and beside it core.wasm, emu64.elf
 * and the like, which stay files.
 */
export async function bundleWorker(entry: string = ENTRY): Promise<WorkerModule[]> {
  const files = new Map<string, string>();
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
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
  const script = outputFiles[0]?.text ?? "";
  const binaries = await Promise.all(
    [...files].map(async ([name, path]): Promise<WorkerModule> => {
      const type = name.endsWith(".wasm") ? "CompiledWasm" : "Data";
      return { type, path: join(MODULES_ROOT, name), contents: new Uint8Array(await readFile(path)) };
    }),
  );
  return [{ type: "ESModule", path: join(MODULES_ROOT, "index.js"), contents: script }, ...binaries];
}
