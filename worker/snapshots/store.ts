import type { SnapshotReference } from "../../jobs/spec.ts";
import { ROOT } from "../auth/principal.ts";
import { pieces } from "../blobs/store.ts";
import { HttpError } from "../errors.ts";
import { UPLOAD_LIMITS } from "../limits.ts";
import { readHeader, type SnapshotHeader } from "./header.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";

/*
 * Snapshots are objects in R2, each one the very file that an export sends: `snapshots/jobs/JOB/NAME` if a job made it,
 * `snapshots/imported/ID` if it was sent here. Nothing else is written down about them, so that what is there and what is
 * listed cannot differ.
 */

/** What every snapshot's key begins with. */
export const SNAPSHOTS = "snapshots/";
const jobPrefix = (job: string): string => `${SNAPSHOTS}jobs/${job}/`;
const IMPORTED = `${SNAPSHOTS}imported/`;

/** Where a snapshot's object is. */
export function snapshotKey(reference: SnapshotReference): string {
  return "job" in reference
    ? `${jobPrefix(reference.job)}${reference.snapshot}`
    : `${IMPORTED}${reference.snapshot}`;
}

/** A snapshot as the API shows it. */
export interface SnapshotView {
  /** What a job that starts from it says as its `from`. */
  readonly from: SnapshotReference;
  readonly name: string;
  /** Of the file. */
  readonly bytes: number;
  readonly instructions: number;
  readonly guestSeconds: number;
  /** Guest RAM in MiB. */
  readonly memory: number;
  /** SHA-256 of the kernel. */
  readonly kernel: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly links: { readonly self: string };
}

const expiryOf = (object: R2Object): number => object.uploaded.getTime() + SNAPSHOT_LIMITS.keepMilliseconds;

function referenceOf(key: string): SnapshotReference {
  if (key.startsWith(IMPORTED)) return { snapshot: key.slice(IMPORTED.length) };
  const [job = "", snapshot = ""] = key.slice(`${SNAPSHOTS}jobs/`.length).split("/");
  return { job, snapshot };
}

function viewOf(object: R2Object): SnapshotView {
  const from = referenceOf(object.key);
  const known = object.customMetadata ?? {};
  return {
    from,
    name: known.name ?? "",
    bytes: object.size,
    instructions: Number(known.instructions),
    guestSeconds: Number(known.guestNanoseconds) / 1e9,
    memory: Number(known.memory),
    kernel: known.kernel ?? "",
    createdAt: known.createdAt ?? object.uploaded.toISOString(),
    expiresAt: new Date(expiryOf(object)).toISOString(),
    links: {
      self: "job" in from ? `/jobs/${from.job}/snapshots/${from.snapshot}` : `/snapshots/${from.snapshot}`,
    },
  };
}

/** What R2 keeps beside a file, so that a list need not open it. */
function metadataOf(header: SnapshotHeader): Record<string, string> {
  return {
    name: header.name,
    instructions: String(header.instructions),
    guestNanoseconds: String(header.guestNanoseconds),
    memory: String(header.config.memory),
    kernel: header.kernel.sha256,
    createdAt: header.createdAt,
  };
}

/** Objects under a prefix; those whose time is over are removed on the way. */
async function objectsOf(bucket: R2Bucket, prefix: string): Promise<R2Object[]> {
  const now = Date.now();
  const found: R2Object[] = [];
  let cursor: string | undefined;
  do {
    const page = await bucket.list({
      prefix,
      include: ["customMetadata"],
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...page.objects.filter((object) => expiryOf(object) > now));
    // At once: R2 takes no more keys in one call than a page has.
    const expired = page.objects.filter((object) => expiryOf(object) <= now).map(({ key }) => key);
    if (expired.length > 0) await bucket.delete(expired);
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return found;
}

const listed = (objects: R2Object[]): SnapshotView[] =>
  objects.sort((a, b) => a.uploaded.getTime() - b.uploaded.getTime()).map(viewOf);

/** A job's snapshots, oldest first. */
export async function listSnapshotsOf(bucket: R2Bucket, job: string): Promise<SnapshotView[]> {
  return listed(await objectsOf(bucket, jobPrefix(job)));
}

/** The snapshots that were imported, by one token or by all; oldest first. */
export async function listSnapshots(bucket: R2Bucket, owner?: string): Promise<SnapshotView[]> {
  const objects = await objectsOf(bucket, IMPORTED);
  return listed(objects.filter((object) => owner === undefined || ownerOf(object) === owner));
}

/** Whose a snapshot is. Those of older versions are the deployment's. */
const ownerOf = ({ customMetadata }: R2Object): string => customMetadata?.owner ?? ROOT;

/** Who imported a snapshot; undefined if there is none. */
export async function findImporter(bucket: R2Bucket, snapshot: string): Promise<string | undefined> {
  const object = await bucket.head(snapshotKey({ snapshot }));
  return object === null ? undefined : ownerOf(object);
}

/** A snapshot and the header of its file; undefined if there is none, or its time is over. @throws SnapshotError */
export async function describeSnapshot(
  bucket: R2Bucket,
  reference: SnapshotReference,
): Promise<{ readonly view: SnapshotView; readonly header: SnapshotHeader } | undefined> {
  const object = await bucket.get(snapshotKey(reference), {
    range: { offset: 0, length: SNAPSHOT_LIMITS.beginningBytes },
  });
  if (object === null) return undefined;
  const beginning = new Uint8Array(await object.arrayBuffer());
  return expiryOf(object) <= Date.now() ? undefined : { view: viewOf(object), header: readHeader(beginning) };
}

/** The file of a snapshot; undefined if there is none, or its time is over. */
export async function openSnapshot(
  bucket: R2Bucket,
  reference: SnapshotReference,
): Promise<R2ObjectBody | undefined> {
  const object = await bucket.get(snapshotKey(reference));
  if (object === null || expiryOf(object) > Date.now()) return object ?? undefined;
  await object.body.cancel();
  return undefined;
}

/** True if there was one. */
export async function deleteSnapshot(bucket: R2Bucket, reference: SnapshotReference): Promise<boolean> {
  const key = snapshotKey(reference);
  if ((await bucket.head(key)) === null) return false;
  await bucket.delete(key);
  return true;
}

/** A snapshot as its owner's quota counts it. `until`: when its time is over, in milliseconds since 1970. */
export interface KeptSnapshot {
  readonly key: string;
  readonly owner: string;
  readonly bytes: number;
  readonly until: number;
}

/** Some of all snapshots: those whose keys follow `after`, in order. `last`: the key of the last that was looked at; undefined behind the last of all. */
export async function keptSnapshotsAfter(
  bucket: R2Bucket,
  after: string,
  limit: number,
): Promise<{ readonly kept: readonly KeptSnapshot[]; readonly last: string | undefined }> {
  const { objects } = await bucket.list({
    prefix: SNAPSHOTS,
    include: ["customMetadata"],
    limit,
    ...(after !== "" && { startAfter: after }),
  });
  const now = Date.now();
  const kept = objects
    .map((object) => ({
      key: object.key,
      owner: ownerOf(object),
      bytes: object.size,
      until: expiryOf(object),
    }))
    .filter(({ until }) => until > now);
  return { kept, last: objects.at(-1)?.key };
}

/** Removes all snapshots of a job. */
export async function deleteSnapshotsOf(bucket: R2Bucket, job: string): Promise<void> {
  const keys = (await objectsOf(bucket, jobPrefix(job))).map(({ key }) => key);
  if (keys.length > 0) await bucket.delete(keys);
}

const bytesOf = (objects: readonly R2Object[]): number => objects.reduce((sum, { size }) => sum + size, 0);

/**
 * Throws HttpError 409 if there is no room for one more snapshot of this owner's; one that is replaced takes none. Each owner has a bound
 * of his own, so that nobody fills the places of all.
 */
export async function admitSnapshot(
  bucket: R2Bucket,
  reference: SnapshotReference,
  owner: string,
): Promise<void> {
  const key = snapshotKey(reference);
  const others = (await objectsOf(bucket, SNAPSHOTS)).filter((object) => object.key !== key);
  if ("job" in reference) {
    const ofJob = others.filter((object) => object.key.startsWith(jobPrefix(reference.job)));
    if (ofJob.length >= SNAPSHOT_LIMITS.perJob) {
      throw new HttpError(
        409,
        "too-many-snapshots",
        `This job has ${ofJob.length} snapshots, the most one job may have; remove one with DELETE /jobs/${reference.job}/snapshots/NAME.`,
      );
    }
  }
  const own = others.filter((object) => ownerOf(object) === owner);
  demandPlace("This token has", own, SNAPSHOT_LIMITS.perOwner, SNAPSHOT_LIMITS.bytesPerOwner);
  demandPlace("This worker keeps", others, SNAPSHOT_LIMITS.inAll, SNAPSHOT_LIMITS.bytesInAll);
}

function demandPlace(who: string, kept: readonly R2Object[], most: number, mostBytes: number): void {
  const bytes = bytesOf(kept);
  if (kept.length < most && bytes < mostBytes) return;
  throw new HttpError(
    409,
    "snapshots-full",
    `${who} ${kept.length} snapshots of ${bytes} bytes together, and may have ${most} of ${mostBytes}; remove some with DELETE /jobs/JOB/snapshots/NAME or DELETE /snapshots/ID.`,
  );
}

/**
 * Stores a file as it comes; it is there when all of it is. If `chunks` throws, nothing stays.
 *
 * A file that a job can start from in memory is sent in one go: R2's local simulator reads what was uploaded in parts more
 * than ten times as slowly. Only a larger one goes in parts, so that no more than that is ever held.
 *
 * @param owner id of the token that imported it, or whose job made it
 */
export async function putSnapshot(
  bucket: R2Bucket,
  key: string,
  header: SnapshotHeader,
  chunks: AsyncIterable<Uint8Array>,
  owner: string,
): Promise<SnapshotView> {
  const options = { customMetadata: { ...metadataOf(header), owner } };
  const held: Uint8Array[] = [];
  let bytes = 0;
  let upload: R2MultipartUpload | undefined;
  const uploaded: R2UploadedPart[] = [];
  try {
    for await (const piece of pieces(chunks, UPLOAD_LIMITS.r2PartBytes)) {
      held.push(piece);
      bytes += piece.length;
      if (bytes <= SNAPSHOT_LIMITS.memoryBytes) continue;
      upload ??= await bucket.createMultipartUpload(key, options);
      for (let next = held.shift(); next !== undefined; next = held.shift()) {
        uploaded.push(await upload.uploadPart(uploaded.length + 1, next));
      }
    }
    if (upload !== undefined) return viewOf(await upload.complete(uploaded));
  } catch (error) {
    await upload?.abort().catch(() => {});
    throw error;
  }
  const body = new FixedLengthStream(bytes);
  const [object] = await Promise.all([bucket.put(key, body.readable, options), write(body.writable, held)]);
  return viewOf(object);
}

async function write(to: WritableStream<Uint8Array>, all: readonly Uint8Array[]): Promise<void> {
  const writer = to.getWriter();
  for (const bytes of all) await writer.write(bytes);
  await writer.close();
}
