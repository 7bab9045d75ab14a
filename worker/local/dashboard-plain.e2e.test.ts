import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ENDLESS, NO_LIMITS, UNLIMITED } from "../testing/endless.ts";
import { accessibilityProblems, hasBrowser, type Visitor } from "./testing/browser.ts";
import { Dashboard, type Jobs, logIn, scriptOf, TOKEN } from "./testing/dashboard.ts";

/*
 * The dashboard in a browser that runs no JavaScript: all of it works, and pages of what is under way come again by themselves. With
 * JavaScript, but without that of the pages, axe-core looks at them.
 */

describe.skipIf(!hasBrowser())("the dashboard without JavaScript", () => {
  let dashboard: Dashboard;
  let plain: Visitor;
  let jobs: Jobs;
  let batch: string;

  beforeAll(async () => {
    dashboard = await Dashboard.start();
    plain = await dashboard.visitor({ javaScriptEnabled: false });
    await logIn(plain.page);
    jobs = await dashboard.makeJobs();
  });
  afterAll(() => dashboard?.stop());

  test("jobs are found, read, searched, compared", async () => {
    const { page, incidents } = plain;
    await page.goto("/");
    await page.selectOption("#filter-verdict", "crash");
    await page.click("text=Filter");
    expect(await page.locator(".jobs .name").count()).toBe(2);
    await page.click("text=boot bug");
    await page.click("text=/^Line \\d+ of the console$/");
    expect(page.url()).toMatch(/#L\d+$/);
    await page.fill("#q", "MEMORY");
    await page.click("text=Find");
    expect(await page.textContent("#search p")).toMatch(/\d+ lines have/);
    await page.locator("#search .l a").first().click();
    expect(page.url()).toMatch(/line=(\d+)#L\1$/);
    await page.fill("#line", "42");
    await page.click('button:text-is("Go")');
    expect(page.url()).toContain("line=42");
    await page.locator("#pictures details summary").first().click();
    await page.locator("#flame svg a").nth(1).click();
    expect(page.url()).toContain("zoom=0");
    expect(await page.textContent("#flame")).toContain("Zoomed to");
    await page.goto(`/compare?job=${jobs.bug}&job=${jobs.null}`);
    expect(await page.locator("mark").count()).toBe(2);
    expect(incidents).toEqual([]);
  });

  test("a batch is found, followed, canceled; its jobs are reached from its grid", async () => {
    const { page, incidents } = plain;
    const first = await dashboard.client.job(await dashboard.post(ENDLESS));
    await dashboard.client.request(`/jobs/${first.id}`, { method: "DELETE" });
    const kernel = { sha256: first.kernel.sha256 };
    const body = JSON.stringify({
      name: "off",
      config: { limits: NO_LIMITS },
      matrix: { kernel: [kernel], memory: [64, 128] },
    });
    const headers = { "content-type": "application/json" };
    const response = await dashboard.client.request("/batches", { method: "POST", headers, body });
    const { id } = (await response.json()) as { id: string };
    await page.goto("/");
    await page.click("nav >> text=Batches");
    await page.selectOption("#filter-state", "ended");
    await page.click("text=Filter");
    expect(page.url()).toContain("state=ended");
    expect(await page.locator(`#list a[href='/batches/${id}']`).count()).toBe(0);
    await page.click("text=Clear");
    await page.click(`#list a[href='/batches/${id}']`);
    expect(await page.textContent("#batch-title")).toBe("off");
    // The page comes again by itself: jobs that were waiting get addresses. One that never started would have none.
    await page.waitForSelector(".tiles li:nth-child(2) a[href^='/jobs/']");
    await page.click("text=Cancel all");
    await page.waitForSelector("#batch[data-live='0']");
    expect(await page.textContent("#batch [role=status]")).toContain("2 of 2 jobs have ended");
    batch = id;
    await page.locator(".tiles a[href^='/jobs/']").first().click();
    await page.waitForSelector("#summary[data-state=canceled]");
    // From a job to another like it.
    await page.click("text=Run again");
    expect(await page.textContent("h1")).toContain("New job");
    // The job's own word comes first, then its line in the index.
    const listed = async () => {
      await page.goto(`/?batch=${id}`);
      return await page.locator(".jobs .name").count();
    };
    await expect.poll(listed).toBe(2);
    expect(incidents).toEqual([]);
  });

  test("boxes choose what is compared; whoever logs out is asked to log in, by token or link", async () => {
    const { page, context, incidents } = await dashboard.visitor({
      javaScriptEnabled: false,
    });
    await page.goto(await dashboard.client.loginLink());
    await page.click("text=Log in here");
    for (const name of ["boot bug", "boot null"])
      await page.locator("tr", { hasText: name }).locator("input").check();
    await page.click("text=Compare two");
    expect(new URL(page.url()).searchParams.getAll("job").sort()).toEqual([jobs.bug, jobs.null].sort());
    expect(await page.locator("mark").count()).toBe(2);
    await page.click("text=Log out");
    await page.goto("/new");
    expect(new URL(page.url()).pathname).toBe("/login");
    await page.fill("#token", TOKEN);
    await page.click("button.primary");
    expect(new URL(page.url()).pathname).toBe("/new");
    expect(incidents).toEqual([]);
    await context.close();
  });

  test("every page is whole, and axe finds nothing serious", async () => {
    // axe is a script itself: it needs a browser that runs scripts, and gets the pages without theirs.
    const { page, context, incidents } = await dashboard.visitor();
    let scripts = 0;
    await context.route("**/*", async (route) => {
      if (route.request().resourceType() !== "script") return await route.continue();
      scripts++;
      await route.fulfill({ contentType: "text/javascript", body: "" });
    });
    await context.addCookies(await plain.context.cookies());
    const link = new URL(await dashboard.client.loginLink()).pathname;
    for (const path of [
      "/",
      `/jobs/${jobs.good}`,
      "/batches",
      `/batches/${batch}`,
      "/new",
      "/docs",
      "/login",
      link,
    ]) {
      await page.goto(path);
      expect([path, await page.locator("h1").count()]).toEqual([path, 1]);
      expect([path, await accessibilityProblems(page)]).toEqual([path, []]);
    }
    expect(scripts).toBeGreaterThan(0);
    expect(incidents).toEqual([]);
    await context.close();
  });

  test("a job is sent by form, its page refreshes itself until it has ended, and one that runs is canceled", async () => {
    const { page, context, incidents } = plain;
    await page.goto("/new");
    await page.fill("#name", "by form");
    await page.fill("#pass", "done");
    const script = JSON.stringify(scriptOf("plain", "working\ndone", 300_000_000));
    await page.setInputFiles("#kernel", {
      name: "kernel",
      mimeType: "application/octet-stream",
      buffer: Buffer.from(script),
    });
    await page.click("text=Boot it");
    await page.waitForURL(/\/jobs\/[0-9a-f]{32}$/);
    await page.waitForSelector("#summary[data-state=passed]");
    // What is wrong is said, and what was filled in is still there.
    await page.goto("/new");
    await page.fill("#cmdline", "quiet");
    await page.click("text=Boot it");
    expect(await page.textContent("#problem")).toContain("Choose a guest");
    expect(await page.inputValue("#cmdline")).toBe("quiet");
    await page.setInputFiles("#kernel", {
      name: "kernel",
      mimeType: "text/plain",
      buffer: Buffer.from("no kernel"),
    });
    await page.click("text=Boot it");
    expect(await page.textContent("#problem")).toContain("this is no script");
    await page.goto(`/jobs/${await dashboard.post(ENDLESS, UNLIMITED)}`);
    // In another tab it is canceled; this one says so by itself.
    const tab = await context.newPage();
    await tab.goto(page.url());
    await tab.click("text=Cancel");
    await page.waitForSelector("#summary[data-state=canceled]");
    await tab.waitForSelector("#summary[data-state=canceled]");
    expect(incidents.filter((incident) => !/status of 4\d\d/.test(incident))).toEqual([]);
  });
});
