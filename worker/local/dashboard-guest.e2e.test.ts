import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PreparedFixture, prepareFixture } from "../../r2-fixtures/index.ts";
import { LocalServer } from "./server.ts";
import {
  accessibilityProblems,
  hasBrowser,
  launchBrowser,
  newVisitor,
  screenshot,
} from "./testing/browser.ts";

/*
 * The dashboard with a real guest, which is sent by form, and seen by whoever may see it: its owner, or everybody.
 */

const TOKEN = "a-token-for-the-tests";
const withBrowser = describe.skipIf(!hasBrowser());

withBrowser("with a real guest", () => {
  let browser: Browser;
  let server: LocalServer;
  let hello: PreparedFixture;

  beforeAll(async () => {
    hello = await prepareFixture("hello", { log: () => {} });
    server = await LocalServer.start({ token: TOKEN, variables: { PUBLIC_READ: "1" } });
    await server.storeFixture(hello);
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  test("a guest is chosen in the form, and sent as a file; its page says how it went", async () => {
    const { page, incidents, context } = await newVisitor(browser, server.url);
    await page.goto("/login");
    await page.fill("#token", TOKEN);
    await page.click("button.primary");
    for (const how of ["fixture", "file"]) {
      await page.click("text=New job");
      if (how === "fixture") await page.selectOption("#fixture", "hello");
      else {
        await page.setInputFiles("#kernel", hello.kernelPath);
        await page.fill("#cmdline", hello.cmdline);
      }
      await page.fill("#pass", "HELLO-OK");
      await page.click("text=Boot it");
      await page.waitForSelector("#summary[data-state=passed]");
      await expect.poll(() => page.textContent("#lines")).toContain("HELLO-OK");
      await page.waitForSelector("#hypercalls");
      expect(await page.textContent("#hypercalls figcaption")).toMatch(/% were served inside the guest/);
    }
    await screenshot(page, "hello-light");
    expect(await accessibilityProblems(page)).toEqual([]);
    expect(incidents).toEqual([]);
    await context.close();
  });

  test("whoever is not logged in sees public jobs and no others, where a deployment shows them", async () => {
    const client = server.client();
    const kernel = { fixture: "hello" };
    const shown = await client.createJob({
      kernel,
      config: { visibility: "public", labels: { name: "shown" } },
    });
    const hidden = await client.createJob({ kernel, config: { labels: { name: "hidden" } } });
    const { page, incidents, context } = await newVisitor(browser, server.url);
    await page.goto(`/jobs/${shown.id}`);
    await page.waitForSelector("#summary[data-state=passed]");
    expect(await page.locator("text=Run again").count()).toBe(0);
    await expect
      .poll(async () => {
        await page.goto("/");
        return page.locator(".jobs .name").allTextContents();
      })
      .toEqual(["shown"]);
    await page.goto("/new");
    expect(new URL(page.url()).pathname).toBe("/login");
    expect(incidents).toEqual([]);
    await page.goto(`/jobs/${hidden.id}`);
    expect(await page.textContent(".error")).toContain("no such job");
    // The owner logs in from there, and comes back; a link on another site leads him there, too.
    incidents.splice(0);
    await page.click(".visitor a");
    await page.fill("#token", TOKEN);
    await page.click("button.primary");
    await page.waitForSelector("#summary");
    await page.goto("about:blank");
    await page.setContent(`<a href="${server.url}/jobs/${hidden.id}">his</a>`);
    await page.click("a");
    await page.waitForSelector("#summary");
    expect(await page.textContent("h1")).toBe("hidden");
    expect(incidents).toEqual([]);
    await context.close();
  });
});
