import { answer, type Json, json, operation, query, reference, TOKEN_ERRORS, WIDE } from "./parts.ts";

/** What is asked of the worker itself. */
export const SERVICE_PATHS: Json = {
  "/healthz": {
    get: operation("Whether the worker answers.", {
      security: [],
      parameters: [query("deep", "Whether what it needs answers, too.", { type: "string" })],
      responses: {
        "200": answer("It does.", json(reference("Health"))),
        "503": answer("Something that it needs does not; `checks` says what.", json(reference("Health"))),
      },
    }),
  },
  "/metrics": {
    get: operation("Figures for Prometheus; for METRICS_TOKEN, and tokens that may read.", {
      responses: { "200": answer("Text format 0.0.4.", { "text/plain": {} }), ...TOKEN_ERRORS },
    }),
  },
  "/docs": {
    get: operation("This document as a page for people.", {
      security: [],
      responses: { "200": answer("The page.", { "text/html": {} }) },
    }),
  },
  "/openapi.json": {
    get: operation("This document.", {
      security: [],
      responses: { "200": answer("An OpenAPI 3.1 document.", json(WIDE)) },
    }),
  },
};
