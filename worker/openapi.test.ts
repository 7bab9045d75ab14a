import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { API_VERSION, openApi } from "../jobs/openapi.ts";
import { parseConfig } from "../jobs/spec.ts";
import { createApp } from "./app.ts";
import { pageRoutes } from "./pages/index.tsx";

/*
 * The OpenAPI document is what clients are generated from. It must be valid (a published validator says so), name every route
 * there is and no other, and its schema of a configuration must agree with the one that checks configurations: they are one.
 */

const document = openApi(API_VERSION);
const schemas = (document.components as { schemas: Record<string, object> }).schemas;

test("the document is valid OpenAPI 3.1", async () => {
  const result = await new Validator().validate(JSON.parse(JSON.stringify(document)));
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
  const broken = await new Validator().validate({
    ...JSON.parse(JSON.stringify(document)),
    paths: { "/x": { get: 5 } },
  });
  expect(broken.valid).toBe(false);
});

/** Routes as the document writes them. */
function namesOf(routes: readonly { readonly method: string; readonly path: string }[]): Set<string> {
  const names = routes
    .filter(({ method, path }) => method !== "ALL" && !path.includes("*"))
    .map(({ method, path }) => {
      const named = path
        .replace(/:report\{.*\}$/, "report.*")
        .replace(/:(\w+)\{\.\+\\\.svg\}$/, "{$1}.svg")
        .replace(/:(\w+)(?:\{.*?\})?/g, "{$1}");
      return `${method} ${named.length > 1 ? named.replace(/\/$/, "") : named}`;
    });
  return new Set(names);
}

test("it names every route but the pages for people, and no other", () => {
  const app = createApp(async () => undefined);
  const all = namesOf(app.routes);
  const pages = namesOf(pageRoutes(app).routes);
  const documented = new Set(
    Object.entries(document.paths as Record<string, object>).flatMap(([path, operations]) =>
      Object.keys(operations)
        .filter((method) => method !== "parameters")
        .map((method) => `${method.toUpperCase()} ${path.replace(/report\.\w+$/, "report.*")}`),
    ),
  );
  expect([...documented].filter((name) => !all.has(name))).toEqual([]);
  expect([...all].filter((name) => !pages.has(name) && !documented.has(name))).toEqual([]);
});

test("each operation has a name of its own, which is a word in every language, and a tag", () => {
  const operations = Object.values(document.paths as Record<string, Record<string, unknown>>)
    .flatMap((item) => Object.entries(item).filter(([method]) => method !== "parameters"))
    .map(([, described]) => described as { readonly operationId: string; readonly tags: readonly string[] });
  const names = operations.map(({ operationId }) => operationId);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[a-z][A-Za-z0-9]+$/);
  expect(names).toEqual(
    expect.arrayContaining(["createJob", "listJobs", "getJobConsole", "listBatchJobs", "putWebhookSecret"]),
  );
  for (const { tags } of operations) expect(tags).toEqual([expect.stringMatching(/^[a-z][a-z-]*$/)]);
});

const ajv = new Ajv2020({ strict: false });
const validate = ajv.compile(schemas.Config ?? {});

const GOOD: unknown[] = [
  {},
  { cmdline: "console=hvc0", memory: 256, expect: { pass: ["login:"] } },
  { expect: { pass: "a", fail: ["b", "c"] }, seed: "18446744073709551615", startTime: "now" },
  { limits: { guestSeconds: 0.5, instructions: 1e6 }, labels: { branch: "main" }, stateHashEvery: null },
  {
    input: [{ expect: "login:", send: "root\n" }, { send: "x" }],
    snapshots: [{ name: "a" }, { name: "b", at: 5 }],
  },
  { guest: { memory: 64, mode: "pvh", vcpus: 1 }, visibility: "public" },
  {
    expect: {
      steps: [{ wait: "a", send: "b", limit: { guestSeconds: 1 } }, { send: "x" }],
      instructions: "+1%",
    },
  },
  { notify: ["https://x.org/", { url: "https://x.org/", events: ["job.ended"] }], retention: { days: 1 } },
];
/** Wrong in ways that a JSON schema can say. */
const BAD: unknown[] = [
  [],
  { cmdlin: "x" },
  { memory: "128" },
  { memory: 7 },
  { memory: 1.5 },
  { expect: { pass: [5] } },
  { expect: { passes: [] } },
  { expect: { pass: Array(17).fill("a") } },
  { limits: { guestSeconds: -1 } },
  { limits: { guestSecond: 1 } },
  { seed: "x" },
  { startTime: "then" },
  { labels: { branch: 5 } },
  { input: [{ expect: "x" }] },
  { snapshots: [{ name: "-" }] },
  { vcpus: 2 },
  { guest: { memory: 5 } },
  { guest: { name: "x" } },
  { expect: { steps: [{ wait: 5 }] } },
  { expect: { steps: [{ send: "" }] } },
  { expect: { instructions: [] } },
  { notify: [{ events: [] }] },
  { retention: { days: 1000 } },
  { visibility: "none" },
];

test("its schema accepts and refuses configurations as the worker does", () => {
  for (const config of GOOD) {
    expect(parseConfig(config, () => 0)).toBeDefined();
    expect([config, validate(config)]).toEqual([config, true]);
  }
  for (const config of BAD) {
    expect(() => parseConfig(config, () => 0)).toThrow(/config/);
    expect([config, validate(config)]).toEqual([config, false]);
  }
});

test("every field of a configuration is described", () => {
  const { properties } = schemas.Config as { properties: Record<string, { description?: string }> };
  for (const [name, { description }] of Object.entries(properties))
    expect(description, name).toMatch(/^[A-Z].*\.$/);
});
