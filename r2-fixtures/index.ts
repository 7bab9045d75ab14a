import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FixtureCache, type LockEntry, sha256Hex } from "./cache.ts";
import { hasPackageClient, type Log, packagedFile } from "./debian.ts";
import { FixtureUnavailable, UnknownFixture } from "./errors.ts";
import { buildInitramfs } from "./initramfs/build.ts";
import { BUSYBOX, type Expectation, FIXTURES, type FixtureDescription } from "./manifest.ts";

export { FixtureUnavailable, UnknownFixture } from "./errors.ts";
export type { Expectation, FixtureDescription };
export { hasPackageClient };

/** Where a prepared fixture's bytes come from. Hashes are lower-case hex sha256. */
export interface FixtureSource {
  /** The kernel's package, where there is one, and its version. */
  readonly package?: string;
  readonly version?: string;
  readonly debSha256?: string;
  readonly kernelSha256: string;
  readonly initrdSha256?: string;
  /** Version of the busybox in the initramfs. */
  readonly busyboxVersion?: string;
}

/** A guest that is ready to be posted. */
export interface PreparedFixture {
  readonly name: string;
  readonly kernelPath: string;
  readonly initrdPath?: string;
  readonly cmdline: string;
  readonly memoryMiB: number;
  readonly mode?: NonNullable<FixtureDescription["mode"]>;
  readonly expect: Expectation;
  readonly source: FixtureSource;
}

export interface PrepareOptions {
  readonly log: Log;
  /** Default: cache/ beside this file. */
  readonly cacheDir?: string;
  /** Fetch the newest version even if another one is cached. */
  readonly refresh?: boolean;
}

const FOLDER = import.meta.dirname;
const DEFAULT_CACHE = join(FOLDER, "cache");

/** Calls in flight in this process, so that two askers share one download. */
const inFlight = new Map<string, Promise<PreparedFixture>>();

/** All fixtures that have a name here, whether or not this machine can get them. */
export function listFixtures(): readonly FixtureDescription[] {
  return FIXTURES;
}

/**
 * Gets a fixture's files, downloading and building what the cache lacks. A second call only reads and checks the cache.
 *
 * Throws UnknownFixture, or FixtureUnavailable with a one-line `remedy`.
 */
export function prepareFixture(name: string, options: PrepareOptions): Promise<PreparedFixture> {
  const cacheDir = options.cacheDir ?? DEFAULT_CACHE;
  const key = JSON.stringify([name, cacheDir, options.refresh ?? false]);
  const running = inFlight.get(key);
  if (running !== undefined) return running;
  const promise = prepare(name, new FixtureCache(cacheDir), options).finally(() => inFlight.delete(key));
  inFlight.set(key, promise);
  return promise;
}

async function prepare(name: string, cache: FixtureCache, options: PrepareOptions): Promise<PreparedFixture> {
  const fixture = FIXTURES.find((candidate) => candidate.name === name);
  if (fixture === undefined) {
    throw new UnknownFixture(
      name,
      FIXTURES.map((known) => known.name),
    );
  }
  const kernel = await prepareKernel(fixture, cache, options);
  const initrd = fixture.testInitramfs ? await prepareInitramfs(fixture, cache, options) : undefined;
  return {
    name,
    kernelPath: kernel.path,
    ...(initrd === undefined ? {} : { initrdPath: initrd.path }),
    cmdline: fixture.cmdline,
    memoryMiB: fixture.memoryMiB,
    ...(fixture.mode === undefined ? {} : { mode: fixture.mode }),
    expect: fixture.expect,
    source: {
      ...(kernel.lock === undefined
        ? {}
        : { package: kernel.lock.package, version: kernel.lock.version, debSha256: kernel.lock.debSha256 }),
      kernelSha256: kernel.sha256,
      ...(initrd === undefined ? {} : { initrdSha256: initrd.sha256, busyboxVersion: initrd.busyboxVersion }),
    },
  };
}

async function prepareKernel(
  fixture: FixtureDescription,
  cache: FixtureCache,
  options: PrepareOptions,
): Promise<{ readonly path: string; readonly sha256: string; readonly lock?: LockEntry }> {
  if ("file" in fixture.kernel) {
    const path = join(FOLDER, fixture.kernel.file);
    const bytes = await readFile(path).catch(() => undefined);
    if (bytes === undefined) {
      throw new FixtureUnavailable(
        fixture.name,
        "missing-file",
        `${fixture.kernel.file} is missing`,
        "restore it from the repository",
      );
    }
    return { path, sha256: sha256Hex(bytes) };
  }
  const refresh = options.refresh ?? false;
  const { file, lock } = await packagedFile(fixture.name, fixture.kernel, cache, options.log, refresh);
  return { path: file.path, sha256: file.sha256, lock };
}

async function prepareInitramfs(fixture: FixtureDescription, cache: FixtureCache, options: PrepareOptions) {
  const { file, lock } = await packagedFile(
    fixture.name,
    BUSYBOX,
    cache,
    options.log,
    options.refresh ?? false,
  );
  const init = await readFile(join(FOLDER, "initramfs", "init"));
  const archive = buildInitramfs(await readFile(file.path), init);
  const stored = await cache.put("initrd.cpio", archive);
  return { path: stored.path, sha256: stored.sha256, busyboxVersion: lock.version };
}
