/**
 * gcc for files that are built once, committed, and compared byte for byte afterwards: emu and our own guests. The
 * compiler's version is recorded beside the output, because another version gives other bytes.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const COMPILER = "gcc";

export interface Build {
  /** Where sources lie and relative names start. */
  readonly directory: string;
  readonly sources: readonly string[];
  readonly flags: readonly string[];
  /** Linker script, relative to `directory`. */
  readonly script: string;
  /** The committed file, relative to `directory`. */
  readonly output: string;
}

/** Why a build or a comparison could not be made, for the person at the terminal. */
export class BuildError extends Error {}

function run(program: string, args: readonly string[], directory: string): string {
  try {
    return execFileSync(program, args, {
      cwd: directory,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (missing) throw new BuildError(`${program} is missing: install gcc and binutils`);
    throw new BuildError(`${program} failed in ${directory}`);
  }
}

/** "gcc (Debian 12.2.0-14) 12.2.0 / GNU ld (GNU Binutils for Debian) 2.40": what decides the bytes of the output. */
export function toolchainVersion(): string {
  const first = (text: string) => text.split("\n")[0]!.trim();
  return `${first(run(COMPILER, ["--version"], "."))} / ${first(run("ld", ["--version"], "."))}`;
}

function versionPath(build: Build): string {
  return join(build.directory, `${build.output}.toolchain`);
}

/** Compiles and links to `output`. @throws BuildError */
export function compile(build: Build, output: string): void {
  const link = [
    "-nostdlib",
    "-static",
    "-no-pie",
    `-Wl,-T,${build.script}`,
    "-Wl,--build-id=none,--no-warn-rwx-segments,-s,-z,max-page-size=4096,-z,noexecstack,--fatal-warnings",
  ];
  run(COMPILER, [...build.flags, ...link, "-o", output, ...build.sources], build.directory);
}

/** Builds and writes the output and the record of the toolchain. */
export function build(what: Build): void {
  compile(what, join(what.directory, what.output));
  writeFileSync(versionPath(what), `${toolchainVersion()}\n`);
}

/**
 * Builds into a temporary directory and compares with the committed file.
 * @throws BuildError if the toolchain is missing or another one than recorded, or the bytes differ.
 */
export function check(what: Build): void {
  const committed = join(what.directory, what.output);
  if (!existsSync(committed)) throw new BuildError(`${committed} is missing`);
  const recorded = readFileSync(versionPath(what), "utf8").trim();
  const present = toolchainVersion();
  if (present !== recorded)
    throw new BuildError(
      `${what.output} was built with\n  ${recorded}\nand cannot be compared with\n  ${present}`,
    );
  const directory = mkdtempSync(join(tmpdir(), "build-"));
  try {
    const output = join(directory, "output");
    compile(what, output);
    if (!readFileSync(output).equals(readFileSync(committed)))
      throw new BuildError(`${committed} is not what its sources give: build it again and commit it`);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The command line of a build script: builds what is given, or compares with `--check`; exit code 1 and a message if it fails. */
export function main(what: Build | readonly Build[], requirements: () => void): void {
  try {
    requirements();
    for (const one of "output" in what ? [what] : what) {
      if (process.argv.includes("--check")) check(one);
      else build(one);
    }
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
