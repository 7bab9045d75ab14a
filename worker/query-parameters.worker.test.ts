import { expect, test } from "vitest";
import { errorOf, request } from "./testing/client.ts";

/*
 * A misspelt parameter of an address would silently not be one: a list would be whole instead of filtered. What an address takes, the
 * OpenAPI document says, and its methods, too. Pages for browsers have their own parameters.
 */

const ID = "0".repeat(32);

test.each([
  ["/batches?verdict=fail", "query.verdict", /no parameter "verdict" here.*Known: state, limit, cursor/],
  [`/jobs/${ID}/console?offest=3`, "query.offest", /did you mean "offset"/i],
  [`/jobs/${ID}?x`, "query.x", /takes none/],
  ["/jobs?verdct=fail", "query.verdct", /did you mean "verdict"/i],
  [`/jobs/${ID}/report.json?format=x`, "query.format", /takes none/],
  ["/badges/a%2Fb=1.svg?titel=x", "query.titel", /did you mean "title"/i],
  ["/deliveries?status=failed", "query.status", /did you mean "state"/i],
  ["/healthz?deap", "query.deap", /did you mean "deep"/i],
  ["/tokens?%00=1", "query.\ufffd", /takes none/],
])("%s", async (path, field, message) => {
  const response = await request(path);
  const error = await errorOf(response);
  expect([response.status, error.code, error.field]).toEqual([400, "unknown-field", field]);
  expect(error.message).toMatch(message);
});

test.each([
  "/jobs?label=a%3Db&label=c%3Dd&limit=1",
  "/batches?state=ended&limit=5",
  "/badges/a=b.svg?title=x&owner=root",
  "/deliveries?limit=1",
  "/hooks/deliveries?limit=1",
  "/healthz?deep",
])("%s is as it was", async (path) => {
  expect((await request(path)).status).toBe(200);
});

test("who may not ask is told that, and pages have parameters of their own", async () => {
  const wrong = await request("/batches?verdict=fail", { headers: { authorization: "Bearer x" } });
  expect(wrong.status).toBe(401);
  const page = await request("/batches?whatever=1", { headers: { accept: "text/html" } });
  expect(page.status).toBe(200);
});

test.each([
  ["PATCH", `/jobs/${ID}`, "GET, HEAD, DELETE"],
  ["PUT", "/batches", "POST, GET, HEAD"],
  ["DELETE", "/healthz", "GET, HEAD"],
  ["GET", "/deliveries/x/redeliver", "POST"],
])("%s %s is told which methods there are", async (method, path, allow) => {
  const response = await request(path, { method });
  expect([response.status, response.headers.get("allow")]).toEqual([405, allow]);
  expect((await errorOf(response)).code).toBe("wrong-method");
});

test("what is no address of the API stays unknown", async () => {
  for (const path of ["/nothing", "/jobs/", `/jobs/${ID}/nothing`])
    expect([path, (await request(path, { method: "PATCH" })).status]).toEqual([path, 404]);
});
