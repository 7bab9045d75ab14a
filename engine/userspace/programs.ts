// Builds the programs of this folder as static executables, with glibc and with musl, for two levels of the processor.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "programs");

export const BUSYBOX = "/bin/busybox";
export const BASH = "/bin/bash-static";

export type Level = "v1" | "v2";
const ARCHITECTURES: Readonly<Record<Level, string>> = { v1: "x86-64", v2: "x86-64-v2" };
const LIBRARIES = { glibc: "gcc", musl: "musl-gcc" } as const;
export type Library = keyof typeof LIBRARIES;

/** The programs in a suite. */
export const PROGRAMS = [
  "crypto",
  "bignum",
  "print",
  "regex",
  "sort",
  "math",
  "strings",
  "control",
  "threads",
  "vector",
] as const;

/** What this machine lacks for the test, with the Debian package that brings it; empty if it has all. */
export function missingTools(): string[] {
  const missing: string[] = [];
  if (process.platform !== "linux" || process.arch !== "x64") missing.push("Linux on x86-64");
  const has = (command: string): boolean => spawnSync(command, ["--version"]).error === undefined;
  if (!has("gcc")) missing.push("gcc");
  if (!has("musl-gcc")) missing.push("musl-gcc (musl-tools)");
  if (!existsSync(BUSYBOX)) missing.push(`${BUSYBOX} (busybox-static)`);
  if (!existsSync(BASH)) missing.push(`${BASH} (bash-static)`);
  return missing;
}

/** Builds one suite into `directory` and returns its path. Rejects with the compiler's words if it refuses. */
export async function buildSuite(library: Library, level: Level, directory: string): Promise<string> {
  const target = join(directory, `${library}-${level}`);
  const sources = readdirSync(FOLDER).filter((name) => name.endsWith(".c"));
  const options = [
    "-static",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    `-march=${ARCHITECTURES[level]}`,
    "-pthread",
  ];
  const { status, output } = await run(
    LIBRARIES[library],
    [...options, "-o", target, ...sources.sort().map((name) => join(FOLDER, name)), "-lm"],
    {},
  );
  if (status !== "exit 0") throw new Error(`${LIBRARIES[library]} could not build the suite:\n${output}`);
  return target;
}

export interface Finished {
  /** "exit N" or "signal NAME". */
  readonly status: string;
  /** Standard output and standard error, as they came. */
  readonly output: string;
}

/** Runs a command with nothing but these variables in its environment (PATH for the compilers). */
export function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const path = Object.keys(env).length === 0 ? { PATH: process.env.PATH ?? "" } : {};
    const child = spawn(command, args, { env: { ...path, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    const chunks: Uint8Array[] = [];
    child.stdout.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    child.stderr.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    child.on("error", reject);
    child.on("close", (code, signal) =>
      resolve({
        status: code === null ? `signal ${signal}` : `exit ${code}`,
        output: Buffer.concat(chunks).toString("latin1"),
      }),
    );
  });
}
