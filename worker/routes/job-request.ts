import { SnapshotError } from "../../engine/snapshot-format.ts";
import {
  CONFIG_FIELDS,
  type ConfigDefaults,
  describe,
  fieldsOf,
  parseConfig,
  parseForkConfig,
  parseReference,
  parseSnapshotReference,
  type SnapshotReference,
} from "../../jobs/spec.ts";
import { findFixture, listStoredFixtures } from "../blobs/fixtures.ts";
import { boundaryOf, multipartParts, type Part } from "../blobs/multipart.ts";
import { type Blob, findBlob, storeBlob } from "../blobs/store.ts";
import type { Env } from "../env.ts";
import { HttpError, messageOf } from "../errors.ts";
import type { KernelCheck } from "../kernel-check.ts";
import { UPLOAD_LIMITS } from "../limits.ts";
import { chunksOf } from "../request-body.ts";
import type { JobRequest } from "../runner/record.ts";
import { describeSnapshot } from "../snapshots/store.ts";

/** What a POST /jobs asks for, with its files stored and its config complete. */
export type ParsedRequest = Omit<JobRequest, "id" | "owner" | "batch">;

/**
 * The request with what its kernel's check found out.
 *
 * @throws what `check` throws for a kernel that cannot be booted
 */
export async function withKernelChecked(
  env: Env,
  request: ParsedRequest,
  check: KernelCheck,
): Promise<ParsedRequest> {
  const { kernel, initrd, from, config } = request;
  // A guest that is running already has a kernel that can be booted.
  if (from !== undefined) return request;
  const { memory, mode } = config;
  const facts = await check(env, { kernel, initrdBytes: initrd?.size ?? 0, memoryMiB: memory, mode });
  return { ...request, ...facts };
}

/** Characters of what was sent that a message repeats. */
const SHOWN_CHARACTERS = 64;

const nowSeconds = (): number => Date.now() / 1000;

/** Whether whoever asks may start a job from this snapshot: mayUseSnapshot of auth/snapshots.ts. */
export type MayStartFrom = (snapshot: SnapshotReference) => Promise<boolean>;

/** Told of each file that is about to be stored and was not here before; it may reject. */
export type AdmitFile = (blob: Blob) => Promise<void>;

/** Where no files can come: the body is JSON. */
const admitAny: AdmitFile = async () => {};

/** Reads and validates a request's body; files in it are stored. Throws HttpError or SpecError. */
export async function readJobRequest(
  bucket: R2Bucket,
  request: Request,
  mayStartFrom: MayStartFrom,
  admit: AdmitFile = admitAny,
): Promise<ParsedRequest> {
  const contentType = request.headers.get("content-type") ?? "";
  const { body } = request;
  const boundary = boundaryOf(contentType);
  if (boundary !== undefined) {
    if (body === null) throw new HttpError(400, "empty", "The body is empty.", { field: "body" });
    return readMultipart(bucket, body, boundary, admit);
  }
  if (/^application\/json\s*(;|$)/i.test(contentType)) return readJson(bucket, body, mayStartFrom);
  throw new HttpError(
    415,
    "unsupported-media-type",
    `Send multipart/form-data with the parts kernel, initrd and config (curl -F kernel=@FILE), or application/json that names stored blobs or a fixture (curl --json); this is ${contentType.split(";")[0]?.slice(0, SHOWN_CHARACTERS) || "of no type"}.`,
    { field: "content-type" },
  );
}

async function readMultipart(
  bucket: R2Bucket,
  body: ReadableStream<Uint8Array>,
  boundary: string,
  admit: AdmitFile,
): Promise<ParsedRequest> {
  const seen = new Set<string>();
  const files: { kernel?: Blob; initrd?: Blob } = {};
  let config: unknown;
  for await (const part of multipartParts(body, boundary)) {
    const { name } = part;
    if (name !== "kernel" && name !== "initrd" && name !== "config") {
      const shown = name.slice(0, SHOWN_CHARACTERS);
      const advice = CONFIG_FIELDS.has(name)
        ? `${shown} is a field of the config: -F 'config={"${shown}": …}'.`
        : "The parts are kernel, initrd and config.";
      throw new HttpError(400, "unknown-field", `There is no part "${shown}". ${advice}`, { field: shown });
    }
    if (seen.has(name))
      throw new HttpError(400, "duplicate-field", `The part ${name} was sent twice; send it once.`, {
        field: name,
      });
    seen.add(name);
    if (name === "config") config = parseJson(await textOf(part.bytes, name), name);
    else files[name] = await storeFile(bucket, part, admit);
  }
  const { kernel, initrd } = files;
  if (kernel === undefined) {
    throw new HttpError(
      400,
      "missing",
      "The part kernel is missing; add the kernel file, with curl: -F kernel=@FILE.",
      { field: "kernel" },
    );
  }
  return { kernel, ...(initrd === undefined ? {} : { initrd }), config: parseConfig(config, nowSeconds) };
}

async function storeFile(bucket: R2Bucket, part: Part, admit: AdmitFile): Promise<Blob> {
  const blob = await storeBlob(bucket, part.bytes, part.name, admit);
  if (blob.size === 0)
    throw new HttpError(400, "empty", `${part.name}: the file is empty. Send the complete file.`, {
      field: part.name,
    });
  return blob;
}

async function readJson(
  bucket: R2Bucket,
  body: ReadableStream<Uint8Array> | null,
  mayStartFrom: MayStartFrom,
): Promise<ParsedRequest> {
  const value = parseJson(await textOf(body === null ? [] : chunksOf(body), "body"), "body");
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new HttpError(400, "wrong-type", `The body must be a JSON object, but it is ${describe(value)}.`, {
      field: "body",
    });
  }
  const misplaced = Object.keys(value).find((name) => CONFIG_FIELDS.has(name));
  if (misplaced !== undefined)
    throw new HttpError(
      400,
      "unknown-field",
      `body has no field "${misplaced}", which is one of the config: write {"config": {"${misplaced}": …}}.`,
      { field: `body.${misplaced}` },
    );
  const fields = fieldsOf(value, "body", ["kernel", "initrd", "from", "config"]);
  if (fields.from !== undefined) return startFromSnapshot(bucket, fields, mayStartFrom);
  const reference = parseReference(fields.kernel, "kernel");
  let defaults: ConfigDefaults = {};
  let kernel: Blob;
  let initrd: Blob | undefined;
  if ("fixture" in reference) {
    const fixture = await findFixture(bucket, reference.fixture);
    if (fixture === undefined) throw await noFixture(bucket, reference.fixture);
    defaults = fixture.defaults;
    kernel = await storedBlob(bucket, fixture.kernel.sha256, "kernel");
    if (fixture.initrd !== undefined) initrd = await storedBlob(bucket, fixture.initrd.sha256, "initrd");
  } else {
    kernel = await storedBlob(bucket, reference.sha256, "kernel");
  }
  if (fields.initrd === null) initrd = undefined;
  else if (fields.initrd !== undefined) {
    const asked = parseReference(fields.initrd, "initrd");
    if ("sha256" in asked) initrd = await storedBlob(bucket, asked.sha256, "initrd");
    else {
      const fixture = await findFixture(bucket, asked.fixture);
      if (fixture?.initrd === undefined) throw await noFixture(bucket, asked.fixture, "initrd");
      initrd = await storedBlob(bucket, fixture.initrd.sha256, "initrd");
    }
  }
  return {
    kernel,
    ...(initrd === undefined ? {} : { initrd }),
    ...("fixture" in reference ? { fixture: reference.fixture } : {}),
    config: parseConfig(fields.config, nowSeconds, defaults),
  };
}

/** A job that starts from a snapshot: what its guest is made of is the snapshot's. */
async function startFromSnapshot(
  bucket: R2Bucket,
  fields: Readonly<Record<string, unknown>>,
  mayStartFrom: MayStartFrom,
): Promise<ParsedRequest> {
  for (const name of ["kernel", "initrd"]) {
    if (fields[name] === undefined) continue;
    const message = `${name} and from exclude each other: a guest that goes on from a snapshot has its ${name} already.`;
    throw new HttpError(400, "excluded", message, { field: name });
  }
  const snapshot = parseSnapshotReference(fields.from, "from");
  const described = (await mayStartFrom(snapshot))
    ? await describeSnapshot(bucket, snapshot).catch((error: unknown) => {
        if (!(error instanceof SnapshotError)) throw error;
        throw new HttpError(422, error.code, `from: ${error.message}; make the snapshot anew.`, {
          field: "from",
        });
      })
    : undefined;
  if (described === undefined) {
    throw new HttpError(
      422,
      "no-snapshot",
      "from: there is no such snapshot: it was never made, was deleted, or its time is over.",
      { field: "from" },
    );
  }
  const { header } = described;
  if (header.ended !== undefined) {
    throw new HttpError(
      422,
      "guest-ended",
      `from: the guest had ended (${header.ended}) when the snapshot was made, so nothing can go on from it.`,
      { field: "from" },
    );
  }
  const { name, instructions, guestNanoseconds, consoleBytes, kernel, initrd, fixture, architecture } =
    header;
  return {
    kernel,
    ...(initrd === undefined ? {} : { initrd }),
    ...(fixture === undefined ? {} : { fixture }),
    ...(architecture === undefined ? {} : { architecture }),
    from: { snapshot, name, instructions, guestNanoseconds, consoleBytes },
    config: parseForkConfig(fields.config, header.config),
  };
}

async function storedBlob(bucket: R2Bucket, sha256: string, field: string): Promise<Blob> {
  const blob = await findBlob(bucket, sha256);
  if (blob !== undefined) return blob;
  throw new HttpError(
    422,
    "no-blob",
    `${field}: no blob ${sha256} is stored here; send it first with PUT /blobs/${sha256}.`,
    { field },
  );
}

async function noFixture(bucket: R2Bucket, name: string, field = "kernel"): Promise<HttpError> {
  const stored = await listStoredFixtures(bucket);
  const known = stored.length === 0 ? "none is" : `stored: ${stored.join(", ")}`;
  return new HttpError(
    422,
    "no-fixture",
    `${field}: no fixture "${name}"${field === "initrd" ? " with an initrd" : ""} is stored here (${known}); a local worker takes in what "npm run fixtures" has fetched when it starts.`,
    { field: `${field}.fixture` },
  );
}

async function textOf(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  field: string,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > UPLOAD_LIMITS.jsonBytes) {
      throw new HttpError(
        413,
        "too-large",
        `${field} is larger than ${UPLOAD_LIMITS.jsonBytes} bytes of JSON.`,
        { field },
      );
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parseJson(text: string, field: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new HttpError(400, "bad-json", `${field} is not valid JSON: ${messageOf(error)}.`, { field });
  }
}
