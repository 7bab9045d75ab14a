// Builds the native harness with gcc. The result lies in node_modules/.cache, so the tree stays clean.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "harness.c");
const target = join(here, "../../../node_modules/.cache/xenner/cpu-oracle");

const FLAGS = [
  "-O2",
  "-Wall",
  "-Wextra",
  "-static-pie",
  "-fPIE",
  "-nostdlib",
  "-ffreestanding",
  "-fno-stack-protector",
  "-fcf-protection=none",
];

/** Why there is no oracle on this machine, or undefined if there can be one. */
export function oracleUnavailable(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "the oracle needs Linux on x86-64";
  if (spawnSync("gcc", ["--version"]).status !== 0) return "the oracle needs gcc";
  return undefined;
}

/** Builds the harness if it is missing or older than its source. Returns its path; throws if gcc refuses. */
export function buildHarness(): string {
  if (existsSync(target) && statSync(target).mtimeMs > statSync(source).mtimeMs) return target;
  mkdirSync(dirname(target), { recursive: true });
  const gcc = spawnSync("gcc", [...FLAGS, "-o", target, source], { encoding: "utf8" });
  if (gcc.status !== 0) throw new Error(`gcc could not build ${source}:\n${gcc.stderr ?? gcc.error}`);
  return target;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(buildHarness());
