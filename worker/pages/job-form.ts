import { multipartParts } from "../blobs/multipart.ts";
import { type Blob, storeBlob } from "../blobs/store.ts";
import { HttpError } from "../errors.ts";
import { UPLOAD_LIMITS } from "../limits.ts";
import type { JobView } from "../runner/record.ts";
import { EMPTY_FORM, FORM_FIELDS, type JobForm } from "./new-job.tsx";

/** What a POST /jobs takes. */
export interface JobOrder {
  readonly kernel: { readonly sha256: string } | { readonly fixture: string };
  readonly initrd?: { readonly sha256: string };
  readonly config: Readonly<Record<string, unknown>>;
}

const isField = (name: string): name is keyof JobForm => (FORM_FIELDS as readonly string[]).includes(name);

/**
 * Reads the form; its files are stored, and their hashes take their places in the form. `admit` is asked before each that was not here.
 *
 * @throws HttpError for a file or a text that is too large
 */
export async function readJobForm(
  bucket: R2Bucket,
  body: ReadableStream<Uint8Array>,
  boundary: string,
  admit: (blob: Blob) => Promise<void> = async () => {},
): Promise<JobForm> {
  const fields: Record<keyof JobForm, string> = { ...EMPTY_FORM };
  /** What was sent as files goes before what else the form says, wherever in the form that is. */
  const sent: Partial<Record<keyof JobForm, string>> = {};
  let size = 0;
  for await (const part of multipartParts(body, boundary, UPLOAD_LIMITS.formParts)) {
    if (part.name === "kernel" || part.name === "initrd") {
      const blob = await storeBlob(bucket, part.bytes, part.name, admit);
      // A field without a file.
      if (blob.size === 0) continue;
      sent[part.name === "kernel" ? "kernelSha256" : "initrdSha256"] = blob.sha256;
      if (part.name === "kernel") sent.fixture = "";
      continue;
    }
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of part.bytes) {
      size += chunk.length;
      if (size > UPLOAD_LIMITS.jsonBytes)
        throw new HttpError(
          413,
          "too-large",
          `The form's texts are larger than ${UPLOAD_LIMITS.jsonBytes} bytes.`,
        );
      text += decoder.decode(chunk, { stream: true });
    }
    if (isField(part.name)) fields[part.name] = text + decoder.decode();
  }
  return { ...fields, ...sent };
}

/** The lines of a text area; browsers end them with CR LF. */
const linesOf = (text: string): string[] => text.split(/\r?\n/).filter((line) => line.trim() !== "");

const numberOf = (text: string): number | string => (/^[0-9.eE+-]+$/.test(text) ? Number(text) : text);

/**
 * What the form asks for. Fields that are empty are left out, so that they are the fixture's or the defaults; what is wrong with the
 * others, POST /jobs says.
 *
 * @throws HttpError where the form's own notation is wrong
 */
export function orderOf(form: JobForm): JobOrder {
  const { fixture, kernelSha256, initrdSha256 } = form;
  if (fixture === "" && kernelSha256 === "")
    throw new HttpError(400, "missing", "Choose a guest that is stored here, or a kernel to send.", {
      field: "kernel",
    });
  const more = moreOf(form.more);
  const [pass, fail] = [linesOf(form.pass), linesOf(form.fail)];
  const limits = {
    ...partOf(more.limits),
    ...(form.guestSeconds === "" ? {} : { guestSeconds: numberOf(form.guestSeconds) }),
    ...(form.instructions === "" ? {} : { instructions: numberOf(form.instructions) }),
  };
  const labels = labelsOf(form);
  const expect = {
    ...partOf(more.expect),
    ...(pass.length === 0 ? {} : { pass }),
    ...(fail.length === 0 ? {} : { fail }),
  };
  const config = {
    ...more,
    ...(form.cmdline === "" ? {} : { cmdline: form.cmdline }),
    ...(form.memory === "" ? {} : { memory: numberOf(form.memory) }),
    ...(form.mode === "" ? {} : { mode: form.mode }),
    ...(form.cpu === "" ? {} : { cpu: form.cpu }),
    ...(form.visibility === "" ? {} : { visibility: form.visibility }),
    ...(Object.keys(expect).length === 0 ? {} : { expect }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
  return {
    kernel: kernelSha256 === "" ? { fixture } : { sha256: kernelSha256 },
    ...(initrdSha256 === "" ? {} : { initrd: { sha256: initrdSha256 } }),
    config,
  };
}

/** A part of the configuration of which the form has some fields; what is no object is for POST /jobs to refuse. */
const partOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};

function labelsOf({ name, labels }: JobForm): Readonly<Record<string, string>> {
  const pairs = linesOf(labels).map((line): [string, string] => {
    const at = line.indexOf("=");
    if (at > 0) return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    throw new HttpError(
      400,
      "bad-label",
      `Write labels as name=value, one a line; "${line.slice(0, 80)}" is none.`,
      {
        field: "labels",
      },
    );
  });
  return { ...Object.fromEntries(pairs), ...(name === "" ? {} : { name }) };
}

function moreOf(text: string): Readonly<Record<string, unknown>> {
  if (text.trim() === "") return {};
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new HttpError(400, "bad-json", 'Other fields must be a JSON object, such as {"seed": 2}.', {
    field: "more",
  });
}

/** Fields of a configuration that the form has places for, and whom to tell, which may have secrets in it. */
const PLACED: ReadonlySet<string> = new Set([
  "cmdline",
  "memory",
  "mode",
  "cpu",
  "expect",
  "limits",
  "labels",
  "visibility",
  "notify",
]);

/** A form that asks for the same job again. */
export function formLike(job: JobView): JobForm {
  const { config } = job;
  const { name = "", ...labels } = config.labels ?? {};
  const { pass, fail, ...expectations } = config.expect;
  const { guestSeconds, instructions, ...limits } = config.limits;
  const others = Object.entries(config).filter(([field]) => !PLACED.has(field));
  const rest = { ...Object.fromEntries(others), expect: expectations, limits };
  return {
    fixture: "",
    kernelSha256: job.kernel.sha256,
    initrdSha256: job.initrd?.sha256 ?? "",
    name,
    cmdline: config.cmdline,
    memory: String(config.memory),
    mode: config.mode ?? "",
    cpu: config.cpu ?? "",
    pass: pass.join("\n"),
    fail: fail.join("\n"),
    guestSeconds: String(guestSeconds),
    instructions: String(instructions),
    labels: Object.entries(labels)
      .map(([label, value]) => `${label}=${value}`)
      .join("\n"),
    visibility: "",
    more: JSON.stringify(rest),
  };
}
