import {
  answer,
  errorAnswer,
  type Json,
  json,
  operation,
  QUOTA_ERRORS,
  reference,
  TOKEN_ERRORS,
} from "./parts.ts";

const SHA256: Json = {
  name: "sha256",
  in: "path",
  required: true,
  description: "SHA-256 of the file.",
  schema: { type: "string", pattern: "^[0-9a-fA-F]{64}$" },
};

/** Stored kernels and initrds. */
export const FILE_PATHS: Json = {
  "/blobs/{sha256}": {
    parameters: [SHA256],
    put: operation("Stores a file under its hash.", {
      requestBody: { required: true, content: { "application/octet-stream": {} } },
      responses: {
        "200": answer("It was there already.", json(reference("Blob"))),
        "201": answer("It is stored.", json(reference("Blob"))),
        ...QUOTA_ERRORS,
        "400": errorAnswer("The hash is none, or the body is empty."),
        ...TOKEN_ERRORS,
        "411": errorAnswer("There is no Content-Length."),
        "413": errorAnswer("The file is too large."),
        "422": errorAnswer("The file has another hash."),
      },
    }),
    get: operation("A stored file's size.", {
      responses: {
        "200": answer("Its size.", json(reference("Blob"))),
        "400": errorAnswer("The hash is none."),
        ...TOKEN_ERRORS,
        "404": errorAnswer("It is not stored."),
      },
    }),
  },
  "/fixtures": {
    get: operation("The guests that are stored here ready to boot.", {
      responses: { "200": answer("The fixtures.", json(reference("Fixtures"))), ...TOKEN_ERRORS },
    }),
  },
};
