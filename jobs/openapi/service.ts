import { answer, type Json, json, operation, WIDE } from "./parts.ts";

/** What is asked of the worker itself. */
export const SERVICE_PATHS: Json = {
  "/healthz": {
    get: operation("Whether the worker answers.", {
      security: [],
      responses: { "200": answer("It does.", json(WIDE)) },
    }),
  },
  "/openapi.json": {
    get: operation("This document.", {
      security: [],
      responses: { "200": answer("An OpenAPI 3.1 document.", json(WIDE)) },
    }),
  },
};
