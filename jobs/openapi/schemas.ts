import { ARCHITECTURES } from "../cpu.ts";
import { CONFIG } from "../schema/config.ts";
import { BLOB_REFERENCE, SNAPSHOT_REFERENCE } from "../schema/references.ts";
import { JOB_STATES } from "../states.ts";
import { VERDICTS } from "../verdict.ts";
import { type Json, reference, schemaOf, WIDE } from "./parts.ts";

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
  Job: {
    ...WIDE,
    properties: {
      id: { type: "string" },
      state: { enum: JOB_STATES },
      verdict: { enum: [...VERDICTS, null] },
      reason: { type: ["string", "null"] },
      reasonCode: { type: ["string", "null"] },
      findings: {
        type: "array",
        items: {
          type: "object",
          properties: {
            verdict: { enum: VERDICTS },
            code: { type: "string" },
            message: { type: "string" },
          },
          required: ["verdict", "code", "message"],
        },
      },
      architecture: { enum: [...ARCHITECTURES, null] },
      instructions: { type: "integer" },
      guestSeconds: { type: "number" },
      seconds: { type: "number" },
      consoleBytes: { type: "integer" },
    },
    required: ["id", "state", "verdict", "reason", "reasonCode", "findings", "instructions"],
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
