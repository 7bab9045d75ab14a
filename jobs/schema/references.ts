import * as z from "zod";
import { SNAPSHOT_NAME_SCHEMA } from "./config.ts";
import { coded, fields, PATH, parseWith } from "./errors.ts";

const SHA256_ERROR = coded(
  "bad-hash",
  `${PATH} must be a SHA-256 of 64 hexadecimal digits, as sha256sum prints it.`,
);
const SHA256 = z
  .string({ error: SHA256_ERROR })
  .regex(/^[0-9a-fA-F]{64}$/, SHA256_ERROR)
  .transform((digits) => digits.toLowerCase())
  .meta({ description: "SHA-256 of a stored blob." });

const FIXTURE_ERROR = coded("bad-name", `${PATH} must be a fixture's name, such as "hello".`);
const FIXTURE = z
  .string({ error: FIXTURE_ERROR })
  .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, FIXTURE_ERROR)
  .meta({ description: "Name of a guest that is stored ready to boot." });

/** Where a kernel or initrd comes from. */
export type BlobReference = { readonly sha256: string } | { readonly fixture: string };

const ONE_OF = coded(
  "missing",
  `${PATH} must be {"sha256": …} of a stored blob or {"fixture": …}, exactly one of them.`,
);

export const BLOB_REFERENCE = fields({ sha256: SHA256.optional(), fixture: FIXTURE.optional() })
  .refine(({ sha256, fixture }) => (sha256 === undefined) !== (fixture === undefined), ONE_OF)
  .transform(({ sha256 = "", fixture }): BlobReference => (fixture === undefined ? { sha256 } : { fixture }));

/** `{sha256}` or `{fixture}`, exactly one. Throws SpecError. */
export function parseReference(value: unknown, path: string): BlobReference {
  return parseWith(BLOB_REFERENCE, value, path);
}

/** A SHA-256 in hexadecimal, lower-cased. Throws SpecError. */
export function parseSha256(value: unknown, path: string): string {
  return parseWith(SHA256, value, path);
}

/** A snapshot's name. Throws SpecError. */
export function parseSnapshotName(value: unknown, path: string): string {
  return parseWith(SNAPSHOT_NAME_SCHEMA, value, path);
}

/** The snapshot a job starts from: one that a job of this worker made, or one that was imported. */
export type SnapshotReference =
  | { readonly job: string; readonly snapshot: string }
  | { readonly snapshot: string };

const ID = /^[0-9a-f]{32}$/;
const JOB_ERROR = coded("bad-reference", `${PATH} must be the id of a job, 32 hexadecimal digits.`);

export const SNAPSHOT_REFERENCE = fields({
  job: z
    .string({ error: JOB_ERROR })
    .regex(ID, JOB_ERROR)
    .optional()
    .meta({ description: "The job that made it; left out for an imported snapshot." }),
  snapshot: z
    .unknown()
    .optional()
    .meta({ description: "The snapshot's name, or its id if it was imported." }),
}).transform(({ job, snapshot }, context): SnapshotReference => {
  if (job !== undefined) {
    const name = SNAPSHOT_NAME_SCHEMA.safeParse(snapshot);
    if (name.success) return { job, snapshot: name.data };
    const message = name.error.issues[0]?.message ?? "";
    context.addIssue({ code: "custom", path: ["snapshot"], message });
    return z.NEVER;
  }
  if (typeof snapshot === "string" && ID.test(snapshot)) return { snapshot };
  context.addIssue({
    code: "custom",
    path: ["snapshot"],
    message: coded(
      "bad-reference",
      `${PATH} is not the id of an imported snapshot; give {"job": ID, "snapshot": NAME} for a snapshot that a job made, or {"snapshot": ID} for an imported one.`,
    ),
  });
  return z.NEVER;
});

/** `{job, snapshot}` or `{snapshot}`. Throws SpecError. */
export function parseSnapshotReference(value: unknown, path: string): SnapshotReference {
  return parseWith(SNAPSHOT_REFERENCE, value, path);
}

/** `value` as an object with no other fields than `known`. Throws SpecError naming the nearest known field. */
export function fieldsOf(
  value: unknown,
  path: string,
  known: readonly string[],
): Readonly<Record<string, unknown>> {
  return parseWith(
    fields(Object.fromEntries(known.map((name) => [name, z.unknown().optional()]))),
    value,
    path,
  );
}
