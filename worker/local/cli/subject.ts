import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { LABEL_CHARACTERS } from "../../../jobs/limits.ts";
import {
  FixtureUnavailable,
  listFixtures,
  type PreparedFixture,
  prepareFixture,
} from "../../../r2-fixtures/index.ts";
import type { Client } from "../client.ts";
import { note } from "./exit.ts";
import { type StartOptions, UsageError } from "./job-options.ts";

/* What `run` and `submit` boot. */

/** JOB/NAME, or the id of an imported snapshot. */
const SNAPSHOT_REFERENCE = /^([0-9a-f]{32})(?:\/([\w.-]+))?$/;

const DEFAULT_FIXTURE = "debian-cloud";
const FALLBACK_FIXTURE = "hello";

/** What to boot, as files on this machine, and what is expected of it. */
export interface Subject {
  readonly fixture?: string;
  readonly kernel: string;
  readonly initrd?: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** A guest that goes on instead. */
export interface SnapshotSubject {
  readonly from: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** The steps of --input. @throws UsageError */
export async function inputOf(text: string): Promise<unknown> {
  const isJson = text.trimStart().startsWith("[");
  if (!isJson) await checkFile(text, "input");
  try {
    return JSON.parse(isJson ? text : await readFile(text, "utf8")) as unknown;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--input: ${isJson ? "this" : text} is no JSON: ${why}`);
  }
}

async function snapshotSubject(from: string, options: StartOptions): Promise<SnapshotSubject> {
  if (!SNAPSHOT_REFERENCE.test(from)) await checkFile(from, "from");
  const { expectPass: pass = [], expectFail: fail = [] } = options;
  return { from, config: { expect: { pass, fail }, ...options.config } };
}

/** What a worker is asked to start. Files it lacks are sent first. */
export async function requestOf(
  client: Client,
  subject: Subject | SnapshotSubject,
): Promise<Record<string, unknown>> {
  if ("from" in subject) {
    const named = SNAPSHOT_REFERENCE.exec(subject.from);
    if (named === null) return { from: (await client.importSnapshot(subject.from)).from };
    const [, id, name] = named;
    return { from: name === undefined ? { snapshot: id } : { job: id, snapshot: name } };
  }
  const kernel = { sha256: await client.putFile(subject.kernel) };
  if (subject.initrd === undefined) return { kernel };
  return { kernel, initrd: { sha256: await client.putFile(subject.initrd) } };
}

/** What the options ask for. @throws UsageError, FixtureUnavailable */
export function subjectOf(options: StartOptions): Promise<Subject | SnapshotSubject> {
  return options.from === undefined ? kernelSubject(options) : snapshotSubject(options.from, options);
}

async function kernelSubject(options: StartOptions): Promise<Subject> {
  const pass = options.expectPass;
  const fail = options.expectFail;
  if (options.kernel === undefined) {
    const fixture = await fixtureOf(options.fixture);
    const expect = { pass: pass ?? fixture.expect.pass, fail: fail ?? fixture.expect.fail };
    const initrd = options.initrd ?? fixture.initrdPath;
    if (options.initrd !== undefined) await checkFile(options.initrd, "initrd");
    return {
      fixture: fixture.name,
      kernel: fixture.kernelPath,
      ...(initrd === undefined ? {} : { initrd }),
      config: {
        cmdline: fixture.cmdline,
        memory: fixture.memoryMiB,
        ...(fixture.mode === undefined ? {} : { mode: fixture.mode }),
        expect,
        ...named(fixture.name),
        ...options.config,
      },
    };
  }
  await checkFile(options.kernel, "kernel");
  if (options.initrd !== undefined) await checkFile(options.initrd, "initrd");
  return {
    kernel: options.kernel,
    ...(options.initrd === undefined ? {} : { initrd: options.initrd }),
    config: {
      expect: { pass: pass ?? [], fail: fail ?? [] },
      ...named(basename(options.kernel)),
      ...options.config,
    },
  };
}

/**
 * What a job is called that has no labels: a worker knows only the hash of a file that it is sent. Labels that are given are not added
 * to, as runs of equal labels are compared.
 */
function named(name: string): { readonly labels: Readonly<Record<string, string>> } {
  return { labels: { name: name.slice(0, LABEL_CHARACTERS) } };
}

async function fixtureOf(name: string | undefined): Promise<PreparedFixture> {
  const known = listFixtures().map((fixture) => fixture.name);
  if (name !== undefined && !known.includes(name)) {
    throw new UsageError(`there is no fixture "${name}"; there are: ${known.join(", ")}`);
  }
  try {
    return await prepareFixture(name ?? DEFAULT_FIXTURE, { log: note });
  } catch (error) {
    // Who asks for nothing in particular gets what can be had; who asks for a fixture by name is told why not.
    if (!(error instanceof FixtureUnavailable) || name !== undefined) throw error;
    note(`${error.message}. Booting "${FALLBACK_FIXTURE}" instead.`);
    return prepareFixture(FALLBACK_FIXTURE, { log: note });
  }
}

/** @throws UsageError */
async function checkFile(path: string, what: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isFile()) throw new UsageError(`--${what}: there is no file ${path}`);
  if (found.size === 0) throw new UsageError(`--${what}: ${path} is empty`);
}
