import { spawn } from "node:child_process";
import { cp, mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { CachedFile, FixtureCache, LockEntry } from "./cache.ts";
import { sha256Hex } from "./cache.ts";
import { FixtureUnavailable } from "./errors.ts";
import type { PackagedFile } from "./manifest.ts";
import { readTar, type TarMember } from "./tar.ts";

/** Called with one line of progress at a time. */
export type Log = (line: string) => void;

/** What the package index says about the newest version of a package. */
interface IndexEntry {
  readonly package: string;
  readonly version: string;
  readonly sha256: string;
  readonly depends: readonly string[];
}

interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const ARCHITECTURE = "amd64";
const SYSTEM_LISTS = "/var/lib/apt/lists";
/** An index older than this may not know the newest version. */
const INDEX_MAX_AGE_MS = 24 * 60 * 60 * 1000;
const COMMANDS = ["apt-get", "apt-cache", "dpkg-deb"] as const;

const REMEDY_CLIENT =
  'run on Debian or in a container of it (apt-get and dpkg-deb), or use the "hello" fixture, which needs nothing';
const REMEDY_NETWORK = "check the network and the sources in /etc/apt, then try again";

function run(command: string, args: readonly string[], cwd?: string): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, LC_ALL: "C" },
      ...(cwd === undefined ? {} : { cwd }),
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (status) => resolve({ status: status ?? 1, stdout, stderr }));
  });
}

/** Whether apt-get, apt-cache and dpkg-deb are all here. */
export async function hasPackageClient(): Promise<boolean> {
  const found = await Promise.all(
    COMMANDS.map((command) =>
      run(command, ["--version"]).then(
        ({ status }) => status === 0,
        () => false,
      ),
    ),
  );
  return found.every(Boolean);
}

/**
 * The system's package client on a state of our own: it reads /etc/apt, but changes nothing of the system, so that it
 * also works without root.
 */
class PackageClient {
  readonly #fixture: string;
  readonly #state: string;
  readonly #log: Log;
  #indexAgeMs = Number.POSITIVE_INFINITY;

  private constructor(fixture: string, state: string, log: Log) {
    this.#fixture = fixture;
    this.#state = state;
    this.#log = log;
  }

  static async open(fixture: string, state: string, log: Log): Promise<PackageClient> {
    if (!(await hasPackageClient())) {
      throw new FixtureUnavailable(
        fixture,
        "no-package-client",
        "this system has no Debian package client",
        REMEDY_CLIENT,
      );
    }
    const client = new PackageClient(fixture, state, log);
    await client.#copySystemLists();
    return client;
  }

  /** Starts from the system's index, so that an update fetches only what has changed since. */
  async #copySystemLists(): Promise<void> {
    const lists = this.#lists();
    await mkdir(join(lists, "partial"), { recursive: true });
    await mkdir(join(this.#state, "cache"), { recursive: true });
    for (const item of await readdir(SYSTEM_LISTS, { withFileTypes: true }).catch(() => [])) {
      if (!item.isFile() || item.name === "lock") continue;
      const from = join(SYSTEM_LISTS, item.name);
      await cp(from, join(lists, item.name), { preserveTimestamps: true });
      this.#indexAgeMs = Math.min(this.#indexAgeMs, Date.now() - (await stat(from)).ctimeMs);
    }
  }

  #lists(): string {
    return join(this.#state, "lists");
  }

  #options(): string[] {
    const settings = [
      `Dir::State::lists=${this.#lists()}`,
      `Dir::Cache=${join(this.#state, "cache")}`,
      `APT::Architecture=${ARCHITECTURE}`,
      `APT::Architectures=${ARCHITECTURE}`,
      // Our folders belong to the caller; apt's own download user could not write to them.
      ...(process.getuid?.() === 0 ? ["APT::Sandbox::User=root"] : []),
      "Acquire::Retries=3",
      "Acquire::Languages=none",
    ];
    return settings.flatMap((setting) => ["-o", setting]);
  }

  /** Updates an old index. Without a network an old one is better than none; true if it was updated. */
  async updateIfOld(): Promise<boolean> {
    if (this.#indexAgeMs <= INDEX_MAX_AGE_MS) return false;
    try {
      await this.update();
      return true;
    } catch (error) {
      if (!(error instanceof FixtureUnavailable)) throw error;
      this.#log(`${error.message}; going on with the index as it is`);
      return false;
    }
  }

  async update(): Promise<void> {
    this.#log("updating the package index");
    const result = await run("apt-get", [...this.#options(), "-q", "update"]);
    if (result.status !== 0 || /^(Err|E:)/m.test(`${result.stdout}\n${result.stderr}`)) {
      throw new FixtureUnavailable(
        this.#fixture,
        "download-failed",
        `apt-get update failed: ${lastLine(result)}`,
        REMEDY_NETWORK,
      );
    }
  }

  /** The newest version's index entry, or undefined if the index has no such package. */
  async show(name: string): Promise<IndexEntry | undefined> {
    const result = await run("apt-cache", [...this.#options(), "show", "--no-all-versions", name]);
    if (result.status !== 0) return undefined;
    return parseIndexEntry(result.stdout);
  }

  /** Downloads one version into `folder`; the path of the .deb, whose sha256 has been checked. */
  async download(entry: IndexEntry, folder: string): Promise<string> {
    const wanted = `${entry.package}=${entry.version}`;
    this.#log(`downloading ${wanted}`);
    const result = await run("apt-get", [...this.#options(), "-q", "download", wanted], folder);
    const deb = (await readdir(folder)).find((name) => name.endsWith(".deb"));
    if (result.status !== 0 || deb === undefined) {
      const problem = `apt-get download ${wanted} failed: ${lastLine(result)}`;
      throw new FixtureUnavailable(this.#fixture, "download-failed", problem, REMEDY_NETWORK);
    }
    const path = join(folder, deb);
    const sha256 = sha256Hex(await readFile(path));
    if (sha256 !== entry.sha256) {
      const problem = `${wanted} has sha256 ${sha256}, its index says ${entry.sha256}`;
      throw new FixtureUnavailable(this.#fixture, "bad-package", problem, REMEDY_NETWORK);
    }
    return path;
  }
}

function lastLine({ stdout, stderr }: CommandResult): string {
  const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => /^(E:|Err)/.test(line));
  return lines.at(-1) ?? "no message";
}

/** Reads the first stanza of `apt-cache show` (deb-control(5)). */
export function parseIndexEntry(text: string): IndexEntry | undefined {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "" && fields.size > 0) break;
    const match = /^([A-Za-z0-9-]+): (.*)$/.exec(line);
    if (match !== null) fields.set(match[1]!, match[2]!);
  }
  const name = fields.get("Package");
  const version = fields.get("Version");
  const sha256 = fields.get("SHA256");
  if (name === undefined || version === undefined || sha256 === undefined) return undefined;
  const depends = (fields.get("Depends") ?? "")
    .split(",")
    .map((dependency) => dependency.trim().split(/[\s:(|]/)[0]!)
    .filter((dependency) => dependency !== "");
  return { package: name, version, sha256, depends };
}

/** Follows a meta package to the package that holds the file. */
async function resolve(client: PackageClient, wanted: PackagedFile): Promise<IndexEntry | undefined> {
  const entry = await client.show(wanted.package);
  const pattern = wanted.dependency;
  if (entry === undefined || pattern === undefined) return entry;
  const real = entry.depends.find((name) => pattern.test(name));
  return real === undefined ? undefined : client.show(real);
}

/** Takes the one matching file out of a .deb without installing anything. */
async function extract(fixture: string, deb: string, pattern: RegExp): Promise<TarMember> {
  const child = spawn("dpkg-deb", ["--fsys-tarfile", deb], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  const [members, status] = await Promise.all([readTar(child.stdout, pattern), ended]);
  const member = members[0];
  if (status !== 0 || member === undefined || members.length > 1) {
    const problem = `dpkg-deb ended with ${status} and ${members.length} files match ${pattern}`;
    throw new FixtureUnavailable(
      fixture,
      "bad-package",
      problem,
      "report this: the package's layout has changed",
    );
  }
  return member;
}

function lockName({ lock, package: name }: PackagedFile): string {
  return lock ?? name;
}

async function fetchFile(
  fixture: string,
  wanted: PackagedFile,
  cache: FixtureCache,
  log: Log,
): Promise<{ readonly file: CachedFile; readonly lock: LockEntry }> {
  const folder = await cache.temporaryFolder();
  try {
    const client = await PackageClient.open(fixture, join(folder, "apt"), log);
    let updated = await client.updateIfOld();
    let entry = await resolve(client, wanted);
    if (entry === undefined && !updated) {
      await client.update();
      updated = true;
      entry = await resolve(client, wanted);
    }
    if (entry === undefined) {
      throw new FixtureUnavailable(
        fixture,
        "unknown-package",
        `the package sources have no ${wanted.package}`,
        "run on a Debian release that has it, or add a Debian source to /etc/apt",
      );
    }
    const download = join(folder, "download");
    await mkdir(download);
    let deb: string;
    try {
      deb = await client.download(entry, download);
    } catch (error) {
      // An old index names versions that the archive no longer has.
      if (updated || !(error instanceof FixtureUnavailable)) throw error;
      await client.update();
      entry = (await resolve(client, wanted)) ?? entry;
      deb = await client.download(entry, download);
    }
    const { name: member, data } = await extract(fixture, deb, wanted.path);
    const file = await cache.put(member, data);
    const lock: LockEntry = {
      requested: lockName(wanted),
      package: entry.package,
      version: entry.version,
      debSha256: entry.sha256,
      member,
      sha256: file.sha256,
      bytes: file.bytes,
    };
    await cache.writeLock(lock);
    log(`${entry.package} ${entry.version}: ${member}, ${file.bytes} bytes, sha256 ${file.sha256}`);
    return { file, lock };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * A file of a Debian package: from the cache if an intact copy is there, else fetched.
 *
 * @param fixture name for error messages
 * @param refresh fetch the newest version even if one is cached
 * Throws FixtureUnavailable.
 */
export async function packagedFile(
  fixture: string,
  wanted: PackagedFile,
  cache: FixtureCache,
  log: Log,
  refresh: boolean,
): Promise<{ readonly file: CachedFile; readonly lock: LockEntry }> {
  const lock = refresh ? undefined : await cache.readLock(lockName(wanted));
  if (lock !== undefined) {
    const file = await cache.get(lock.member, lock.sha256);
    if (file !== undefined) return { file, lock };
    log(`${wanted.package}: the cached copy is missing or damaged, fetching it again`);
  }
  return fetchFile(fixture, wanted, cache, log);
}
