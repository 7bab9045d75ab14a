import {
  answer,
  errorAnswer,
  JOB_ERRORS,
  JOB_ID,
  type Json,
  json,
  operation,
  QUOTA_ERRORS,
  reference,
  TOKEN_ERRORS,
} from "./parts.ts";

const SNAPSHOT: Json = {
  name: "name",
  in: "path",
  required: true,
  description: "The snapshot's name.",
  schema: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" },
};
const FILE: Json = answer("The file.", { "application/octet-stream": {} });
const SNAPSHOT_ERRORS: Json = { ...TOKEN_ERRORS, "404": errorAnswer("There is no such snapshot.") };

export const SNAPSHOT_PATHS: Json = {
  "/jobs/{id}/snapshots": {
    parameters: [JOB_ID],
    get: operation("The job's snapshots.", {
      responses: { "200": answer("The snapshots.", json(reference("Snapshots"))), ...JOB_ERRORS },
    }),
    post: operation("Makes a snapshot of the guest as it is now.", {
      requestBody: {
        required: true,
        content: json({
          type: "object",
          properties: { name: SNAPSHOT.schema },
          required: ["name"],
          additionalProperties: false,
        }),
      },
      responses: {
        "201": answer("The snapshot; Location is its address.", json(reference("Snapshot"))),
        "400": errorAnswer("The name is wrong."),
        ...JOB_ERRORS,
        "409": errorAnswer("There is no guest that could be kept."),
        "413": errorAnswer("The body is too large."),
        ...QUOTA_ERRORS,
        "503": errorAnswer("The job has just moved to another process: ask again."),
      },
    }),
  },
  "/jobs/{id}/snapshots/{name}": {
    parameters: [JOB_ID, SNAPSHOT],
    get: operation("A snapshot as a file.", {
      responses: { "200": FILE, "400": errorAnswer("The name is wrong."), ...SNAPSHOT_ERRORS },
    }),
    delete: operation("Removes a snapshot.", {
      responses: {
        "204": answer("It is gone."),
        "400": errorAnswer("The name is wrong."),
        ...SNAPSHOT_ERRORS,
      },
    }),
  },
  "/snapshots": {
    get: operation("Imported snapshots.", {
      responses: { "200": answer("The snapshots.", json(reference("Snapshots"))), ...TOKEN_ERRORS },
    }),
    post: operation("Imports a snapshot's file.", {
      requestBody: { required: true, content: { "application/octet-stream": {} } },
      responses: {
        "201": answer("The snapshot; Location is its address.", json(reference("Snapshot"))),
        "400": errorAnswer("The body is empty."),
        ...TOKEN_ERRORS,
        "411": errorAnswer("There is no Content-Length."),
        "413": errorAnswer("The file is too large."),
        ...QUOTA_ERRORS,
        "422": errorAnswer("The file is no snapshot, or a damaged one."),
      },
    }),
  },
  "/snapshots/{id}": {
    parameters: [{ ...JOB_ID, description: "The snapshot's id." }],
    get: operation("An imported snapshot as a file.", { responses: { "200": FILE, ...SNAPSHOT_ERRORS } }),
    delete: operation("Removes an imported snapshot.", {
      responses: { "204": answer("It is gone."), ...SNAPSHOT_ERRORS },
    }),
  },
};
