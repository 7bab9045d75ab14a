import { CHECKPOINT_VERSION, isReadable } from "../../engine/checkpoint.ts";
import { decodeSnapshotHeader, SnapshotError } from "../../engine/snapshot-format.ts";
import { ARCHITECTURES, type Architecture } from "../../jobs/cpu.ts";
import { MEMORY_MIB } from "../../jobs/limits.ts";
import type { MachineFields } from "../../jobs/spec.ts";
import type { Blob } from "../blobs/store.ts";
import { STORAGE_LIMITS } from "../limits.ts";

/** The JSON at the beginning of a snapshot's file: what somebody needs who has nothing but the file. */
export interface SnapshotHeader {
  readonly format: typeof FORMAT;
  /** CHECKPOINT_VERSION of the machine: another version's state means something else. */
  readonly machine: number;
  readonly name: string;
  /** The job that made it. */
  readonly job: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly instructions: number;
  readonly guestNanoseconds: number;
  /** Bytes the guest had printed since its kernel was started. */
  readonly consoleBytes: number;
  /** The console line it had not finished, one character a byte. */
  readonly line: string;
  /** How the guest had ended: nothing can go on from such a snapshot, but its memory can be looked at. */
  readonly ended?: string;
  readonly config: MachineFields;
  readonly kernel: Blob;
  readonly initrd?: Blob;
  readonly fixture?: string;
  /** What the kernel is built for. */
  readonly architecture?: Architecture;
  readonly pageBytes: number;
  readonly pagesPerCluster: number;
  /** Clusters in the file. */
  readonly clusters: number;
}

export const FORMAT = "xenner snapshot";
export const PAGE_BYTES = 4096;
/** Bytes of a cluster of pages when decompressed. */
export const CLUSTER_BYTES = PAGE_BYTES * STORAGE_LIMITS.pagesPerRow;

type Fields = Readonly<Record<string, unknown>>;

function refuse(field: string): never {
  throw new SnapshotError(
    "damaged",
    `the snapshot's header says nothing this worker understands in "${field}"`,
  );
}

function objectIn(fields: Fields, name: string): Fields {
  const value = fields[name];
  return typeof value === "object" && value !== null ? (value as Fields) : refuse(name);
}

function textIn(fields: Fields, name: string, pattern: RegExp): string {
  const value = fields[name];
  return typeof value === "string" && pattern.test(value) ? value : refuse(name);
}

function countIn(fields: Fields, name: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = fields[name];
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= max
    ? value
    : refuse(name);
}

function blobIn(fields: Fields, name: string): Blob {
  const blob = objectIn(fields, name);
  return { sha256: textIn(blob, "sha256", /^[0-9a-f]{64}$/), size: countIn(blob, "size") };
}

function architectureIn({ architecture }: Fields): Architecture {
  return ARCHITECTURES.find((known) => known === architecture) ?? refuse("architecture");
}

/** A header that came in a file. @throws SnapshotError for one that this worker did not write */
export function parseSnapshotHeader(value: unknown): SnapshotHeader {
  const fields = typeof value === "object" && value !== null ? (value as Fields) : refuse("format");
  if (fields.format !== FORMAT) refuse("format");
  const machine = countIn(fields, "machine");
  if (!isReadable(machine)) {
    throw new SnapshotError(
      "wrong-version",
      `the snapshot is of a machine of version ${machine}, this worker's is version ${CHECKPOINT_VERSION}`,
    );
  }
  if (fields.pageBytes !== PAGE_BYTES) refuse("pageBytes");
  if (fields.pagesPerCluster !== STORAGE_LIMITS.pagesPerRow) refuse("pagesPerCluster");
  const config = objectIn(fields, "config");
  const memory = countIn(config, "memory", MEMORY_MIB.max);
  return {
    format: FORMAT,
    machine,
    name: textIn(fields, "name", /^[\w.-]{1,64}$/),
    job: textIn(fields, "job", /^[0-9a-f]{32}$/),
    createdAt: textIn(fields, "createdAt", /^\d{4}-\d\d-\d\dT[\d:.]{8,12}Z$/),
    instructions: countIn(fields, "instructions"),
    guestNanoseconds: countIn(fields, "guestNanoseconds"),
    consoleBytes: countIn(fields, "consoleBytes"),
    line: textIn(fields, "line", /^[\0-\xff]{0,8192}$/),
    ...(fields.ended === undefined ? {} : { ended: textIn(fields, "ended", /^[\s\S]{0,8192}$/) }),
    config: {
      cmdline: textIn(config, "cmdline", /^[^\0]{0,1023}$/),
      memory,
      // Those of before there were modes do not say.
      mode: config.mode === "pvh" || config.mode === "hvm" ? config.mode : "pv",
      cpu: textIn(config, "cpu", /^[\w.,+-]{2,512}$/),
      seed: textIn(config, "seed", /^\d{1,20}$/),
      startTime: countIn(config, "startTime", 0xffff_ffff),
    },
    kernel: blobIn(fields, "kernel"),
    ...(fields.initrd === undefined ? {} : { initrd: blobIn(fields, "initrd") }),
    ...(fields.fixture === undefined ? {} : { fixture: textIn(fields, "fixture", /^[a-z0-9-]{1,64}$/) }),
    ...(fields.architecture === undefined ? {} : { architecture: architectureIn(fields) }),
    pageBytes: PAGE_BYTES,
    pagesPerCluster: STORAGE_LIMITS.pagesPerRow,
    clusters: countIn(fields, "clusters"),
  };
}

/** The header at the beginning of a file. @throws SnapshotError */
export function readHeader(beginning: Uint8Array): SnapshotHeader {
  return parseSnapshotHeader(decodeSnapshotHeader(beginning));
}
