import { expect, test } from "vitest";
import { API_VERSION, openApi } from "../../jobs/openapi.ts";
import { request } from "../testing/client.ts";

/*
 * The API's documentation is a page for people: whatever the OpenAPI document says is on it, without a token, a script or
 * anything from elsewhere.
 */

const open = { headers: { authorization: "" } };

test("every operation, parameter, status and schema of the document is on the page", async () => {
  const response = await request("/docs", open);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^text\/html/);
  const html = await response.text();
  const { paths, components } = openApi(API_VERSION) as {
    paths: Record<
      string,
      Record<string, { summary?: string; responses?: object; parameters?: { name: string }[] }>
    >;
    components: { schemas: Record<string, { properties?: object }> };
  };
  const escaped = (text: string) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;").replaceAll("'", "&#39;");
  // A section for each operation, with all that belongs to it.
  const sections = html.split("<section id=").slice(1);
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (method === "parameters") continue;
      const heading = `>${method.toUpperCase()}</span> <code>${path}</code></h2>`;
      const section = sections.find((text) => text.includes(heading));
      expect(section, `${method} ${path}`).toBeDefined();
      expect(section).toContain(escaped(operation.summary ?? "?"));
      for (const status of Object.keys(operation.responses ?? {}))
        expect(section).toContain(`<th scope="row">${status}</th>`);
      for (const { name } of operation.parameters ?? []) expect(section).toContain(`<code>${name}</code>`);
    }
  }
  for (const [name, schema] of Object.entries(components.schemas)) {
    const section = sections.find((text) => text.startsWith(`"schema-${name}"`));
    for (const field of Object.keys(schema.properties ?? {}))
      expect(section).toContain(`<code>${field}</code>`);
  }
  expect(html).toContain("<code>expect.steps[].limit.guestSeconds</code>");
});

test("every link leads somewhere, ids are there once, and nothing is loaded or run", async () => {
  const response = await request("/docs", open);
  const html = await response.text();
  const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const [, target = ""] of html.matchAll(/href="([^"]+)"/g)) {
    if (target.startsWith("#")) expect(ids).toContain(target.slice(1));
    else expect((await request(target, open)).status).toBe(200);
  }
  expect(html).not.toMatch(/<script|<img|<link|\bsrc=|\bon[a-z]+="|https?:\/\/(?!www\.w3\.org)/);
  // The one style that is allowed is the one on the page.
  const style = /<style>(.*?)<\/style>/s.exec(html)?.[1] ?? "";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(style)));
  const csp = response.headers.get("content-security-policy") ?? "";
  expect(csp).toContain(`style-src 'sha256-${btoa(String.fromCharCode(...digest))}'`);
  expect(csp).toMatch(/^default-src 'none';/);
});
