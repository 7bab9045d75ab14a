/**
 * `node worker/pages/build.ts [--check]`: the dashboard's script, style and icon as one module, assets.generated.ts, which any bundler
 * can take. It is committed; with --check it is compared with what would be built.
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build, transform } from "esbuild";
import { paletteRules } from "./style/palette.ts";

const FOLDER = import.meta.dirname;
const OUTPUT = join(FOLDER, "assets.generated.ts");
const TARGET = ["chrome115", "firefox115", "safari16.4"];

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 12);

/** The text of assets.generated.ts. */
export async function buildAssets(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(FOLDER, "client", "main.ts")],
    bundle: true,
    write: false,
    minify: true,
    charset: "ascii",
    format: "esm",
    target: TARGET,
    legalComments: "none",
    logLevel: "silent",
  });
  const script = outputFiles[0]?.text ?? "";
  const rules = `${await readFile(join(FOLDER, "style", "page.css"), "utf8")}\n${paletteRules()}`;
  const { code: style } = await transform(rules, { loader: "css", minify: true, target: TARGET });
  const icon = await readFile(join(FOLDER, "style", "icon.svg"), "utf8");
  const assets = {
    script,
    scriptHash: hashOf(script),
    style,
    styleHash: hashOf(style),
    icon,
    iconHash: hashOf(icon),
  };
  const fields = Object.entries(assets).map(([name, text]) => `  ${name}: ${JSON.stringify(text)},\n`);
  return `// Made by worker/pages/build.ts; change what is in client/ and style/ instead.\nexport const ASSETS = {\n${fields.join("")}} as const;\n`;
}

if (import.meta.main) {
  const text = await buildAssets();
  if (process.argv.includes("--check")) {
    if ((await readFile(OUTPUT, "utf8")) !== text) {
      process.stderr.write(
        "assets.generated.ts is not what worker/pages/build.ts makes; run npm run build:pages\n",
      );
      process.exit(1);
    }
  } else await writeFile(OUTPUT, text);
}
