import { Hono } from "hono";
import { API_VERSION, openApi } from "../../jobs/openapi.ts";
import { type ApiDocument, ApiPage } from "../docs/page.tsx";
import { STYLE } from "../docs/style.ts";
import type { AppEnv } from "../env.ts";

async function policy(): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(STYLE));
  const hash = btoa(String.fromCharCode(...new Uint8Array(digest)));
  return `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
}

/** The API's documentation for people, made of the OpenAPI document; it says nothing that is anybody's, and needs no token. */
export function docsRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  let page: Promise<readonly [html: string, csp: string]> | undefined;

  async function render(): Promise<readonly [string, string]> {
    const document = openApi(API_VERSION) as unknown as ApiDocument;
    const html = await (<ApiPage document={document} />);
    return [`<!doctype html>${String(html)}`, await policy()];
  }

  app.get("/", async (context) => {
    page ??= render();
    const [html, csp] = await page;
    return context.html(html, 200, {
      "content-security-policy": csp,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "public, max-age=300",
    });
  });
  return app;
}
