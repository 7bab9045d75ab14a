import { ANSWER_SCHEMAS } from "./openapi/answers.ts";
import { BATCH_PATHS, BATCH_SCHEMAS } from "./openapi/batches.ts";
import { COMPARISON_PATHS } from "./openapi/comparison.ts";
import { FILE_PATHS } from "./openapi/files.ts";
import { HOOK_PATHS } from "./openapi/hooks.ts";
import { JOB_PATHS } from "./openapi/jobs.ts";
import { completed, type Json, tagsOf } from "./openapi/parts.ts";
import { SCHEMAS } from "./openapi/schemas.ts";
import { SERVICE_PATHS } from "./openapi/service.ts";
import { SNAPSHOT_PATHS } from "./openapi/snapshots.ts";
import { TOKEN_PATHS } from "./openapi/tokens.ts";

/** Raised with each change of the API that clients notice. */
export const API_VERSION = "0.4.0";

const PATHS: Json = {
  ...JOB_PATHS,
  ...BATCH_PATHS,
  ...SNAPSHOT_PATHS,
  ...COMPARISON_PATHS,
  ...FILE_PATHS,
  ...HOOK_PATHS,
  ...TOKEN_PATHS,
  ...SERVICE_PATHS,
};

/** The API as an OpenAPI 3.1 document. What a job may ask for comes from the schema that checks it. */
export function openApi(version: string): Json {
  return {
    openapi: "3.1.0",
    info: {
      title: "xenner",
      version,
      description:
        "A boot-test runner for guest kernels: POST a kernel, get its console, a verdict and hypercall statistics.",
      license: { name: "MIT", identifier: "MIT" },
    },
    // Where this document is.
    servers: [{ url: "/" }],
    security: [{ token: [] }],
    paths: completed(PATHS),
    tags: tagsOf(PATHS),
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: { ...SCHEMAS, ...BATCH_SCHEMAS, ...ANSWER_SCHEMAS },
    },
  };
}
