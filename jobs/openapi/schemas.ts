import { CONFIG } from "../schema/config.ts";
import { BLOB_REFERENCE, SNAPSHOT_REFERENCE } from "../schema/references.ts";
import { type Json, reference, schemaOf } from "./parts.ts";

/** components.schemas */
export const SCHEMAS: Json = {
  Config: schemaOf(CONFIG),
  BlobReference: {
    oneOf: [
      { ...schemaOf(BLOB_REFERENCE), required: ["sha256"] },
      { ...schemaOf(BLOB_REFERENCE), required: ["fixture"] },
    ],
  },
  SnapshotReference: { ...schemaOf(SNAPSHOT_REFERENCE), required: ["snapshot"] },
  JobRequest: {
    type: "object",
    description: "A kernel, or a snapshot to start from.",
    properties: {
      kernel: reference("BlobReference"),
      initrd: { anyOf: [reference("BlobReference"), { type: "null" }] },
      from: reference("SnapshotReference"),
      config: reference("Config"),
    },
    additionalProperties: false,
    oneOf: [{ required: ["kernel"] }, { required: ["from"] }],
  },
  Error: {
    type: "object",
    properties: {
      error: {
        type: "object",
        properties: {
          code: { type: "string" },
          field: { type: "string" },
          message: { type: "string" },
        },
        required: ["code", "message"],
      },
    },
    required: ["error"],
  },
};
