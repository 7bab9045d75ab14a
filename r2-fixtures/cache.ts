import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

/** A file of the cache: its content's sha256 is part of its name. */
export interface CachedFile {
  readonly path: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** What was taken out of a package: one line of the lock file that says which version was fetched. */
export interface LockEntry {
  /** The package that was asked for, perhaps a meta package. */
  readonly requested: string;
  /** The package that held the file. */
  readonly package: string;
  readonly version: string;
  /** Of the .deb, as the package index gives it; the package client has checked the download against it. */
  readonly debSha256: string;
  /** Path inside the package. */
  readonly member: string;
  readonly sha256: string;
  readonly bytes: number;
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * The folder of fetched and built files.
 *
 * Files are named by their content and lock entries are single files; both come into being by a rename. So two
 * processes that fetch the same thing at once write the same bytes under the same name, and no reader ever sees half a
 * file or a file that vanishes.
 */
export class FixtureCache {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** A new folder of one's own, on the same file system; the caller removes it. */
  async temporaryFolder(): Promise<string> {
    const folder = join(this.#root, "tmp", randomUUID());
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** Stores bytes; writes nothing if an intact copy is there. `name` makes the path readable. */
  async put(name: string, bytes: Uint8Array): Promise<CachedFile> {
    const sha256 = sha256Hex(bytes);
    const intact = await this.get(name, sha256);
    if (intact !== undefined) return intact;
    const path = this.#path(name, sha256);
    await this.#writeAtomically(path, bytes);
    return { path, sha256, bytes: bytes.length };
  }

  /** The file of that content, or undefined if it is missing or damaged. */
  async get(name: string, sha256: string): Promise<CachedFile | undefined> {
    const path = this.#path(name, sha256);
    const bytes = await readIfPresent(path);
    if (bytes === undefined || sha256Hex(bytes) !== sha256) return undefined;
    return { path, sha256, bytes: bytes.length };
  }

  async readLock(requested: string): Promise<LockEntry | undefined> {
    const bytes = await readIfPresent(this.#lockPath(requested));
    if (bytes === undefined) return undefined;
    try {
      const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
      return isLockEntry(value) && value.requested === requested ? value : undefined;
    } catch {
      // A damaged lock file is the same as none: what it names is fetched again.
      return undefined;
    }
  }

  async writeLock(entry: LockEntry): Promise<void> {
    const text = `${JSON.stringify(entry, undefined, 2)}\n`;
    await this.#writeAtomically(this.#lockPath(entry.requested), new TextEncoder().encode(text));
  }

  #path(name: string, sha256: string): string {
    return join(this.#root, "files", `${sha256}-${basename(name)}`);
  }

  #lockPath(requested: string): string {
    return join(this.#root, "lock", `${requested}.json`);
  }

  async #writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
    const folder = await this.temporaryFolder();
    try {
      const temporary = join(folder, "file");
      await writeFile(temporary, bytes);
      await mkdir(join(path, ".."), { recursive: true });
      await rename(temporary, path);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

async function readIfPresent(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function isLockEntry(value: unknown): value is LockEntry {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Record<string, unknown>;
  const texts = ["requested", "package", "version", "debSha256", "member", "sha256"];
  return texts.every((key) => typeof entry[key] === "string") && typeof entry.bytes === "number";
}
