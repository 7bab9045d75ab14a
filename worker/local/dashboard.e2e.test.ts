import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JobView } from "../runner/record.ts";
import type { Script } from "../testing/scripted-machine.ts";
import type { Client } from "./client.ts";
import { LocalServer } from "./server.ts";
import {
  accessibilityProblems,
  hasBrowser,
  launchBrowser,
  newVisitor,
  screenshot,
  type Visitor,
} from "./testing/browser.ts";
import { injectionEvents, MARKUP } from "./testing/injections.ts";

/*
 * The dashboard as people use it, in a real browser: log in, send a kernel by form, watch its console, find the line that went wrong,
 * compare two runs, all of it once more without JavaScript. Consoles are recorded ones, played by scripted guests, or made to
 * do harm. Whatever a guest prints or a job is called, nothing of it is executed, and the browser complains of
 * nothing. axe-core looks at every page.
 */

const TOKEN = "a-token-for-the-tests";
const RECORDED = join(import.meta.dirname, "..", "..", "jobs", "console", "recorded");
const POWEROFF = { kind: "shutdown", reason: "poweroff", code: 0 } as const;

/** A guest that runs until it is canceled, or for minutes on the fastest machine; with limits that let it. */
const ENDLESS = scriptOf("endless", "x", 999_000_000_000);
const NO_LIMITS = {
  guestSeconds: 86_400,
  instructions: 1_000_000_000_000,
  silentSeconds: 86_400,
  silentInstructions: 1_000_000_000_000,
};

const withBrowser = describe.skipIf(!hasBrowser());

/** A guest that prints a text, spread over its run. */
function scriptOf(name: string, text: string, instructions: number): Script {
  const lines = text.split("\n");
  const step = Math.floor(instructions / (lines.length + 1));
  return {
    name,
    events: [
      ...lines.map((line, index) => ({ at: (index + 1) * step, print: `${line}\n` })),
      { at: (lines.length + 1) * step, end: POWEROFF },
    ],
  };
}

withBrowser("the dashboard", () => {
  let browser: Browser;
  let server: LocalServer;
  let client: Client;
  let visitor: Visitor;
  const jobs: Record<"bug" | "null" | "good", string> = { bug: "", null: "", good: "" };

  async function post(script: Script, config: unknown = {}): Promise<string> {
    const form = new FormData();
    form.set("kernel", new Blob([JSON.stringify(script)]), "kernel");
    form.set("config", JSON.stringify(config));
    const response = await client.request("/jobs", { method: "POST", body: form });
    return ((await response.json()) as JobView).id;
  }

  async function end(id: string): Promise<JobView> {
    for (;;) {
      const job = await client.job(id);
      if (job.endedAt !== null) return job;
      await sleep(50);
    }
  }

  async function logIn(page: Page, address = "/login"): Promise<void> {
    await page.goto(address);
    await page.fill("#token", TOKEN);
    await page.click("text=Log in >> nth=-1");
  }

  beforeAll(async () => {
    server = await LocalServer.start({
      token: TOKEN,
      entry: join(import.meta.dirname, "..", "testing", "index.ts"),
    });
    client = server.client();
    browser = await launchBrowser();
    visitor = await newVisitor(browser, server.url);
    for (const name of ["bug", "null"] as const) {
      const text = readFileSync(join(RECORDED, `${name}.txt`), "latin1");
      jobs[name] = await post(scriptOf(name, text, 200_000_000), {
        labels: { name: `boot ${name}`, branch: "main" },
      });
    }
    jobs.good = await post(
      scriptOf("good", "\x1b[1;32m[  OK  ]\x1b[0m Started \x1b[38;5;208mudev\x1b[0m.\nlogin: ", 50_000_000),
      {
        labels: { name: "good", branch: "next" },
        expect: { pass: ["login:"] },
      },
    );
    await Promise.all(Object.values(jobs).map(end));
  });

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  test("the listeners of these tests hear what they listen for", async () => {
    const other = await newVisitor(browser, server.url);
    await other.page.goto("/login");
    await other.page.evaluate(`{
      const script = document.createElement("script");
      try { script.textContent = "globalThis.executed = 1"; document.body.append(script); } catch {}
      document.body.insertAdjacentElement("beforeend", Object.assign(document.createElement("img"), { src: "https://elsewhere.example/x" }));
    }`);
    await expect.poll(() => other.incidents.join("\n")).toMatch(/Content Security Policy|Trusted/i);
    expect(await other.page.evaluate("globalThis.executed")).toBeUndefined();
    await other.context.close();
  });

  test("a token logs in, another one does not; the cookie is no use to scripts or other sites", async () => {
    const { page, context, incidents } = visitor;
    await page.goto(`/jobs/${jobs.good}`);
    expect(new URL(page.url()).pathname).toBe("/login");
    await page.fill("#token", "wrong");
    await page.click("button.primary");
    expect(await page.textContent("#problem")).toMatch(/not known/);
    // The browser notes the 401 itself.
    expect(incidents.splice(0).every((incident) => incident.includes("401"))).toBe(true);
    await logIn(page, `/login?next=/jobs/${jobs.good}`);
    expect(new URL(page.url()).pathname).toBe(`/jobs/${jobs.good}`);
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", path: "/" });
    expect(cookie?.value).not.toContain(TOKEN);
    expect(await page.evaluate("document.cookie")).toBe("");
    // As another site's form would send it, or a program that does not say where it comes from.
    for (const headers of [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://elsewhere.example" },
      {},
    ]) {
      const stolen = {
        cookie: `${cookie?.name}=${cookie?.value}`,
        "content-type": "application/json",
        ...headers,
      };
      const body = JSON.stringify({ kernel: { fixture: "hello" } });
      for (const path of ["/jobs", "/new", `/jobs/${jobs.good}/cancel`, "/logout"]) {
        const response = await fetch(new URL(path, server.url), {
          method: "POST",
          headers: stolen,
          body,
          redirect: "manual",
        });
        expect([path, response.status]).toEqual([path, 403]);
      }
    }
    // Nor does the login lead elsewhere.
    for (const next of [
      "//elsewhere.example/",
      "https://elsewhere.example/",
      "/\\elsewhere.example",
      "javascript:alert(1)",
    ]) {
      await logIn(page, `/login?next=${encodeURIComponent(next)}`);
      expect(page.url()).toBe(`${server.url}/`);
    }
    expect(incidents).toEqual([]);
  });

  test("a link logs in once", async () => {
    const url = await client.loginLink();
    const first = await newVisitor(browser, server.url);
    // Neither looking at it nor another site's form uses it up.
    expect((await fetch(url)).headers.get("set-cookie")).toBeNull();
    const headers = { "sec-fetch-site": "cross-site" };
    expect((await fetch(url, { method: "POST", headers, redirect: "manual" })).status).toBe(403);
    await first.page.goto(url);
    expect(await first.page.textContent(".visitor")).not.toContain("root");
    await first.page.click("text=Log in here");
    expect(await first.page.textContent(".visitor")).toContain("root");
    await first.page.click("text=Log out");
    await first.page.goto("/");
    expect(new URL(first.page.url()).pathname).toBe("/login");
    const second = await newVisitor(browser, server.url);
    await second.page.goto(url);
    await second.page.click("text=Log in here");
    expect(await second.page.textContent("#problem")).toMatch(/used before/);
    expect(first.incidents).toEqual([]);
    await Promise.all([first.context.close(), second.context.close()]);
  });

  test("the list is narrowed by state, verdict, label and text", async () => {
    const { page, incidents } = visitor;
    const names = () => page.locator(".jobs .name").allTextContents();
    await page.goto("/");
    expect((await names()).sort()).toEqual(["boot bug", "boot null", "good"]);
    await screenshot(page, "jobs-light");
    await page.selectOption("#filter-verdict", "crash");
    await page.waitForURL(/verdict=crash/);
    expect((await names()).sort()).toEqual(["boot bug", "boot null"]);
    await page.goto("/");
    await page.fill("#filter-label", "branch=next");
    await page.press("#filter-label", "Enter");
    await page.waitForURL(/label=/);
    expect(await names()).toEqual(["good"]);
    await page.click("text=Clear");
    await page.fill("#filter-text", "fail_init");
    await page.click("text=Filter");
    await page.waitForURL(/text=/);
    expect((await names()).sort()).toEqual(["boot bug", "boot null"]);
    await page.goto("/?state=canceled");
    expect(await page.textContent(".notice")).toContain("No job is like that");
    await page.goto("/?label=nonsense");
    expect(await page.textContent(".error")).toContain("label");
    expect(incidents).toEqual([]);
  });

  test("a failed job is opened at its line", async () => {
    const { page, incidents } = visitor;
    await page.goto("/");
    await page.click("text=boot null");
    expect(await page.textContent("#findings")).toContain("NULL pointer dereference");
    expect(await page.textContent(".complaint .excerpt")).toContain("RIP: e030:fail_init");
    await page.click("text=/^Line \\d+ of the console$/");
    await page.waitForURL(/#L\d+$/);
    const number = /#L(\d+)$/.exec(page.url())?.[1];
    const line = page.locator(`#L${number}`);
    expect(await line.textContent()).toContain("BUG: kernel NULL pointer dereference");
    expect(await page.evaluate(`document.querySelector(":target").id`)).toBe(`L${number}`);
    // It is where it can be seen, inside the console's own box.
    expect(
      await page.evaluate(`{
        const line = document.querySelector(":target").getBoundingClientRect();
        const box = document.getElementById("lines").getBoundingClientRect();
        line.top >= box.top && line.bottom <= box.bottom && line.top >= 0 && line.bottom <= innerHeight;
      }`),
    ).toBe(true);
    // The same line as everybody else counts it.
    const text = await (await client.request(`/jobs/${jobs.null}/console`)).text();
    expect(text.split("\n")[Number(number) - 1]?.trim()).toBe(
      (await line.textContent())?.replace(/^\d+/, "").trim(),
    );
    expect(incidents).toEqual([]);
  });

  test("the flame graph zooms to a frame in its place, and by address", async () => {
    const { page, incidents } = visitor;
    await page.goto(`/jobs/${jobs.bug}`);
    await page.evaluate("globalThis.samePage = true");
    const frames = await page.locator("#flame svg a").count();
    expect(frames).toBeGreaterThan(1);
    await page.locator("#flame svg a").nth(1).focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector("#flame >> text=Zoomed to");
    expect(await page.evaluate("globalThis.samePage")).toBe(true);
    expect(page.url()).toContain("zoom=0");
    // Back leads out of the zoom, not out of the page.
    await page.goBack();
    await page.waitForSelector("#flame >> text=Zoomed to", { state: "detached" });
    expect(await page.evaluate("globalThis.samePage")).toBe(true);
    await page.goForward();
    await page.waitForSelector("#flame >> text=Zoomed to");
    await page.reload();
    expect(await page.textContent("#flame")).toContain("Zoomed to");
    await page.click("text=Show all");
    await page.waitForSelector("#flame >> text=Zoomed to", { state: "detached" });
    expect(incidents).toEqual([]);
  });

  test("the console is searched by keyboard", async () => {
    const { page, incidents } = visitor;
    await page.goto(`/jobs/${jobs.bug}`);
    await page.focus("#q");
    await page.keyboard.type("memory");
    await expect.poll(() => page.textContent("#found")).toMatch(/^\d+ lines$/);
    await page.keyboard.press("Enter");
    expect(await page.textContent("#found")).toMatch(/^1 of \d+$/);
    await page.keyboard.press("Shift+Enter");
    const [, last, count] = /^(\d+) of (\d+)$/.exec((await page.textContent("#found")) ?? "") ?? [];
    expect(last).toBe(count);
    expect((await page.textContent(".hit.now"))?.toLowerCase()).toContain("memory");
    // From the top of the page the first stop leads past the navigation.
    await page.goto(`/jobs/${jobs.bug}`);
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toContain("Skip");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("main");
    // Lines are no stops: a few presses lead through the page, thousands of lines or not.
    let stops = 0;
    for (; stops < 60; stops++) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate("document.activeElement.textContent")) === "badge") break;
    }
    expect(stops).toBeLessThan(60);
    expect(incidents).toEqual([]);
  });

  test("two jobs are chosen and compared", async () => {
    const { page, incidents } = visitor;
    await page.goto("/");
    const boxes = page.locator(".jobs input[type=checkbox]");
    for (const name of ["boot bug", "boot null"])
      await page.locator("tr", { hasText: name }).locator("input").check();
    expect(await boxes.count()).toBe(3);
    await page.click("text=Compare two");
    await page.waitForURL(/\/compare/);
    const marks = await page.locator("mark").allTextContents();
    expect(marks.sort()).toEqual(["insmod /fail.ko how=bug", "insmod /fail.ko how=null"]);
    expect(await page.textContent("#milestone-bars figcaption")).toContain("initcalls done");
    await screenshot(page, "compare-light");
    await page.goto(`/compare?job=${jobs.bug}`);
    expect(await page.textContent(".error")).toContain("exactly two");
    expect(incidents.splice(0).every((incident) => incident.includes("400"))).toBe(true);
  });

  test("a running job's console comes by itself, byte for byte what it is afterwards", async () => {
    const { page, incidents } = visitor;
    const lines = Array.from(
      { length: 150 },
      (_, index) => `\x1b[3${index % 8}mline ${index}\x1b[0m of a slow guest`,
    );
    const id = await post(scriptOf("slow", lines.join("\n"), 10_000_000_000), { labels: { name: "slow" } });
    await page.goto(`/jobs/${id}`);
    await page.evaluate("globalThis.samePage = true");
    await expect.poll(() => page.locator("#lines .l").count()).toBeGreaterThan(10);
    const early = await page.locator("#lines .l").count();
    await expect.poll(() => page.locator("#lines .l").count()).toBeGreaterThan(early);
    await page.waitForSelector("#summary[data-state=passed]");
    expect(await page.evaluate("globalThis.samePage")).toBe(true);
    expect(await page.textContent("#summary .verdict")).toContain("pass");
    expect(await page.locator("#pictures svg").count()).toBeGreaterThan(2);
    const followed = await page.evaluate(`document.getElementById("lines").innerHTML`);
    const size = await page.textContent("#console-bytes");
    await page.reload();
    expect(await page.evaluate(`document.getElementById("lines").innerHTML`)).toBe(followed);
    expect(await page.textContent("#console-bytes")).toBe(size);
    expect(incidents).toEqual([]);
  });

  describe("what is meant to do harm", () => {
    const HOSTILE = MARKUP.map((text) => text.slice(0, 200));
    let id: string;

    beforeAll(async () => {
      const labels = Object.fromEntries([
        ["name", HOSTILE[2] ?? ""],
        ["git_repository_url", "javascript:alert(40)"],
        ["log_url", 'https://example.com/"onclick=alert(41)//<script>'],
        ["odd", "\0\x1b[31m\u202eabc\ud800"],
        ...HOSTILE.slice(3, 12).map((text, index) => [`l${index}`, text]),
      ]);
      id = await post(
        { name: "hostile", events: injectionEvents(30_000_000) },
        {
          cmdline: `console=hvc0 ${HOSTILE[0]} "><img src=x onerror=alert(42)>`,
          labels,
          expect: { pass: ["the end"], fail: ["<nothing>"] },
        },
      );
    });

    /** Nothing of a guest's or a user's is an element, and the page is whole. */
    async function expectHarmless(page: Page): Promise<void> {
      expect(
        await page.evaluate(`document.querySelectorAll(
          "body script, iframe, object, embed, base, main style, main link, main img, main meta, main math, [onload], [onerror], [onclick], [onmouseover], [onfocus], h1 + h1, form[action^='//']"
        ).length`),
      ).toBe(0);
      expect(
        await page.evaluate(
          `[...document.querySelectorAll("a[href]")].map((a) => new URL(a.getAttribute("href"), location).protocol).filter((p) => p !== "http:" && p !== "https:")`,
        ),
      ).toEqual([]);
      expect(await page.locator("body > footer").count()).toBe(1);
      expect(await page.locator("h1").count()).toBe(1);
      expect(await page.evaluate(`document.querySelector("main").innerText.includes("\\0")`)).toBe(false);
    }

    test("does nothing while it is printed, nor afterwards, and looks the same both ways", async () => {
      const { page, incidents } = visitor;
      await page.goto(`/jobs/${id}`);
      await page.waitForSelector("#summary[data-state=passed]");
      await expectHarmless(page);
      const followed = await page.evaluate<string>(`document.getElementById("lines").innerHTML`);
      await page.reload();
      await expectHarmless(page);
      expect(await page.evaluate(`document.getElementById("lines").innerHTML`)).toBe(followed);
      const shown = await page.locator("#lines .l").allTextContents();
      for (const text of MARKUP) expect(shown.some((line) => line.includes(text))).toBe(true);
      expect(shown.some((line) => line.includes("click me"))).toBe(true);
      expect(shown.at(-1)).toContain("the end <i>of it</i>");
      await screenshot(page, "hostile-light");
      expect(incidents).toEqual([]);
    });

    test("does nothing in lists, forms, comparisons, searches and addresses", async () => {
      const { page, incidents } = visitor;
      const evil = encodeURIComponent(HOSTILE.join(" "));
      for (const path of [
        "/",
        `/new?like=${id}`,
        `/compare?job=${jobs.good}&job=${id}`,
        `/jobs/${id}?q=${encodeURIComponent("<script>")}&line=${evil}&zoom=${evil}`,
        `/jobs/${id}?q=${evil.slice(0, 1500)}`,
        `/?text=${evil.slice(0, 150)}`,
        `/login?next=${evil}`,
      ]) {
        await page.goto(path);
        await expectHarmless(page);
      }
      // Some of those are refused, which the browser notes.
      expect(incidents.splice(0).filter((incident) => !/status of 4\d\d/.test(incident))).toEqual([]);
      for (const path of [
        `/jobs/${"a".repeat(32)}`,
        `/?label=${evil}`,
        `/?state=${evil.slice(0, 200)}`,
        `/batches?cursor=${evil}`,
      ]) {
        await page.goto(path);
        await expectHarmless(page);
      }
      expect(incidents.splice(0).filter((incident) => !/status of 4\d\d/.test(incident))).toEqual([]);
    });

    test("every page has the strict policy", async () => {
      const authorization = `Bearer ${TOKEN}`;
      for (const path of [
        "/",
        "/new",
        "/login",
        "/batches",
        `/jobs/${id}`,
        `/compare?job=${jobs.good}&job=${id}`,
        "/compare",
        `/jobs/${"a".repeat(32)}`,
      ]) {
        const { headers } = await fetch(new URL(path, server.url), {
          headers: { authorization, accept: "text/html" },
        });
        const policy = headers.get("content-security-policy") ?? "";
        expect(policy).toContain("default-src 'none'");
        expect(policy).toContain("frame-ancestors 'none'");
        expect(policy).not.toMatch(/unsafe|\*|data:|http/);
        expect(headers.get("x-content-type-options")).toBe("nosniff");
      }
    });
  });

  describe("without JavaScript", () => {
    let plain: Visitor;
    let batch: string;

    beforeAll(async () => {
      plain = await newVisitor(browser, server.url, { javaScriptEnabled: false });
      await logIn(plain.page);
    });
    afterAll(() => plain.context.close());

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
      const first = await client.job(await post(ENDLESS));
      await client.request(`/jobs/${first.id}`, { method: "DELETE" });
      const kernel = { sha256: first.kernel.sha256 };
      const body = JSON.stringify({
        name: "off",
        config: { limits: NO_LIMITS },
        matrix: { kernel: [kernel], memory: [64, 128] },
      });
      const headers = { "content-type": "application/json" };
      const response = await client.request("/batches", { method: "POST", headers, body });
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
      // The page comes again by itself: jobs that were waiting get addresses.
      await page.waitForSelector(".tiles a[href^='/jobs/']");
      await page.click("text=Cancel all");
      await page.waitForSelector("#batch[data-live='0']");
      expect(await page.textContent("#batch [role=status]")).toContain("2 of 2 jobs have ended");
      batch = id;
      await page.locator(".tiles a[href^='/jobs/']").first().click();
      await page.waitForSelector("#summary[data-state=canceled]");
      // From a job to another like it.
      await page.click("text=Run again");
      expect(await page.textContent("h1")).toContain("New job");
      await page.goto(`/?batch=${id}`);
      expect(await page.locator(".jobs .name").count()).toBe(2);
      expect(incidents).toEqual([]);
    });

    test("boxes choose what is compared; whoever logs out is asked to log in, by token or link", async () => {
      const { page, context, incidents } = await newVisitor(browser, server.url, {
        javaScriptEnabled: false,
      });
      await page.goto(await client.loginLink());
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
      const { page, context, incidents } = await newVisitor(browser, server.url);
      let scripts = 0;
      await context.route("**/*", async (route) => {
        if (route.request().resourceType() !== "script") return await route.continue();
        scripts++;
        await route.fulfill({ contentType: "text/javascript", body: "" });
      });
      await context.addCookies(await plain.context.cookies());
      const link = new URL(await client.loginLink()).pathname;
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
      const { page, incidents } = plain;
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
      await page.goto(`/jobs/${await post(ENDLESS, { limits: NO_LIMITS })}`);
      await page.click("text=Cancel");
      await page.waitForSelector("#summary[data-state=canceled]");
      expect(incidents.filter((incident) => !/status of 4\d\d/.test(incident))).toEqual([]);
    });
  });

  test("a batch is a grid of its jobs", async () => {
    const { page, incidents } = visitor;
    const sha256 = async (script: Script): Promise<string> =>
      (await client.job(await post(script))).kernel.sha256;
    const kernels = [
      { sha256: await sha256(scriptOf("kernel-a", "up\nlogin: ", 20_000_000)) },
      { sha256: await sha256(scriptOf("kernel-b", "up\nKernel panic - not syncing: <b>", 20_000_000)) },
    ];
    const body = {
      name: "nightly <i>",
      matrix: { kernel: kernels, memory: [64, 128, 256], cmdline: ["quiet", "<script>alert(50)</script>"] },
    };
    const response = await client.request("/batches", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const { id } = (await response.json()) as { id: string };
    // While jobs run the list is put in anew; what was ticked in it stays so, wherever it is now.
    const running = await post(ENDLESS, { limits: NO_LIMITS });
    await page.goto("/");
    const box = page.locator(".jobs input[type=checkbox]").last();
    await box.check();
    const chosen = await box.inputValue();
    await page.evaluate(`document.getElementById("list").dataset.old = "1"`);
    await expect.poll(() => page.locator("#list[data-old]").count()).toBe(0);
    expect(
      await page.evaluate(`[...document.querySelectorAll(".jobs input:checked")].map((box) => box.value)`),
    ).toEqual([chosen]);
    await client.request(`/jobs/${running}`, { method: "DELETE" });
    await page.goto(`/batches/${id}`);
    await page.waitForSelector("#batch[data-live='0']");
    expect(await page.locator(".grid-table tbody tr").count()).toBe(3);
    expect(await page.locator(".grid-table td li").count()).toBe(12);
    expect(await page.locator(".grid-table .v-crash").count()).toBe(6);
    expect(await accessibilityProblems(page)).toEqual([]);
    await screenshot(page, "batch-light");
    await page.goto("/batches");
    expect(await page.textContent("#list")).toContain("nightly <i>");
    await page.selectOption("#filter-state", "running");
    await page.waitForURL(/state=running/);
    expect(await page.textContent("#list")).toContain("No batch is like that");
    await page.goto("/batches?state=ended");
    expect(await page.textContent("#list")).toContain("nightly <i>");
    await page.goto("/");
    await page.click("text=nightly");
    await page.locator(".grid-table td a").first().click();
    await page.waitForURL(/\/jobs\//);
    expect(incidents).toEqual([]);
  });

  test("axe finds nothing serious, in light, in dark and on a phone", async () => {
    const pages = {
      jobs: "/",
      job: `/jobs/${jobs.null}`,
      colours: `/jobs/${jobs.good}`,
      search: `/jobs/${jobs.bug}?q=memory`,
      compare: `/compare?job=${jobs.bug}&job=${jobs.null}`,
      new: "/new",
      batches: "/batches",
      login: "/login",
      problem: "/compare",
    };
    const looks = [
      // What has no script of its own was looked at without any.
      {
        look: "light",
        options: { colorScheme: "light" },
        checked: ["jobs", "job", "colours", "search", "compare", "problem"],
      },
      { look: "dark", options: { colorScheme: "dark" }, checked: ["jobs", "job", "colours", "compare"] },
      // Colours are those of dark; what may be wrong here is the width.
      {
        look: "phone",
        options: { colorScheme: "dark", viewport: { width: 360, height: 740 } },
        checked: ["job"],
      },
    ] as const;
    for (const { look, options, checked } of looks) {
      const other = await newVisitor(browser, server.url, options);
      await logIn(other.page);
      for (const [name, path] of Object.entries(pages)) {
        await other.page.goto(path);
        if ((checked as readonly string[]).includes(name))
          expect([look, name, await accessibilityProblems(other.page)]).toEqual([look, name, []]);
        // Nothing makes the page itself scroll sideways.
        const fits = await other.page.evaluate("document.documentElement.scrollWidth <= innerWidth");
        expect([look, name, fits]).toEqual([look, name, true]);
        await screenshot(other.page, `${name}-${look}`);
      }
      await other.context.close();
    }
  });
});
