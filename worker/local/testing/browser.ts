import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** How long a page may take for anything: a slow machine is no fault of the page's. */
const PATIENCE_MILLISECONDS = 180_000;
/** Pictures of the pages, for people: an artefact of a run of the tests. */
const SCREENSHOTS = join(import.meta.dirname, "..", "..", "..", "test-results", "screenshots");

/** Lines of a console are alike; the first of them are looked at, which saves a minute. */
const RUN_AXE = `axe.run({ include: [["html"]], exclude: [["#lines .l:nth-child(n+40)"]] }, { resultTypes: ["violations"] })`;

/** Whether the tests can run; in CI a browser that is missing is an error, not a reason to skip. */
export function hasBrowser(): boolean {
  if (existsSync(CHROMIUM)) return true;
  if (process.env.CI === "true") throw new Error(`${CHROMIUM} is missing: install the package chromium`);
  console.warn(`\n*** SKIPPING the dashboard's browser tests: ${CHROMIUM} is missing (package chromium)\n`);
  return false;
}

export function launchBrowser(): Promise<Browser> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS, timeout: PATIENCE_MILLISECONDS });
}

/** A visitor's browser, and everything in it that must not happen. */
export interface Visitor {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Dialogs, errors and warnings on the browser's console (violations of the policy among them), exceptions, requests to elsewhere. */
  readonly incidents: string[];
}

export async function newVisitor(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<Visitor> {
  const context = await browser.newContext({ baseURL: origin, ...options });
  context.setDefaultTimeout(PATIENCE_MILLISECONDS);
  const incidents: string[] = [];
  context.on("dialog", (dialog) => {
    incidents.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning")
      incidents.push(`console: ${message.text()} (${message.location().url})`);
  });
  context.on("weberror", (error) => incidents.push(`exception: ${error.error().message}`));
  context.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) incidents.push(`request: ${request.url()}`);
  });
  return { context, page: await context.newPage(), incidents };
}

/** What axe-core finds wrong with a page that is serious or worse. */
export async function accessibilityProblems(page: Page): Promise<readonly string[]> {
  // Put in by the browser, which the page's policy does not bind.
  await page.evaluate(axe.source);
  const results = await page.evaluate<{ violations: AxeViolation[] }>(RUN_AXE);
  return results.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .slice(0, 5)
          .map((node) => `${node.target.join(" ")} ${node.failureSummary ?? ""}`)
          .join("; ")}`,
    );
}

interface AxeViolation {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary?: string }[];
}

export async function screenshot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}
