import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isFinal, type JobState } from "../../jobs/states.ts";
import { ENDLESS, NO_LIMITS, UNLIMITED } from "../testing/endless.ts";
import type { Script } from "../testing/scripted-machine.ts";
import { accessibilityProblems, hasBrowser, screenshot, type Visitor } from "./testing/browser.ts";
import { Dashboard, type Jobs, logIn, scriptOf, TOKEN } from "./testing/dashboard.ts";
import { injectionEvents, MARKUP } from "./testing/injections.ts";

/*
 * The dashboard as people use it, in a real browser: log in, watch a console, find the line that went wrong, compare two runs. Consoles
 * are recorded ones, played by scripted guests, or made to do harm. Whatever a guest prints or a job is called, nothing of it is
 * executed, and the browser complains of nothing. axe-core looks at every page. dashboard-plain.e2e.test.ts does without JavaScript.
 */

/** A guest that nobody can see at work is given more, but no more than this: hundreds of times what is enough for a fast machine. */
const LONGEST_INSTRUCTIONS = 200_000_000_000;
const POLL_MILLISECONDS = 50;

describe.skipIf(!hasBrowser())("the dashboard", () => {
  let dashboard: Dashboard;
  let visitor: Visitor;
  let jobs: Jobs;

  beforeAll(async () => {
    dashboard = await Dashboard.start();
    visitor = await dashboard.visitor();
    jobs = await dashboard.makeJobs();
  });
  afterAll(() => dashboard?.stop());

  test("the listeners of these tests hear what they listen for", async () => {
    const other = await dashboard.visitor();
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
        const response = await fetch(new URL(path, dashboard.url), {
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
      expect(page.url()).toBe(`${dashboard.url}/`);
    }
    expect(incidents).toEqual([]);
  });

  test("a link logs in once", async () => {
    const url = await dashboard.client.loginLink();
    const first = await dashboard.visitor();
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
    const second = await dashboard.visitor();
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
    const text = await (await dashboard.client.request(`/jobs/${jobs.null}/console`)).text();
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

  /**
   * Looks at a job's page until it has passed, and again: it is the same to the byte. Whether its console was seen to grow twice
   * meanwhile: a guest may be too quick for that.
   */
  async function follow(id: string): Promise<boolean> {
    const { page } = visitor;
    await page.goto(`/jobs/${id}`);
    await page.evaluate("globalThis.samePage = true");
    const summary = page.locator("#summary");
    const lengths = new Set<number>();
    for (let isLive = true; isLive; await sleep(POLL_MILLISECONDS)) {
      isLive = !isFinal((await summary.getAttribute("data-state")) as JobState);
      lengths.add(await page.locator("#lines .l").count());
    }
    expect(await page.evaluate("globalThis.samePage")).toBe(true);
    expect(await page.textContent("#summary .verdict")).toContain("pass");
    const [lines, size] = ["#lines", "#console-bytes"].map((name) => page.locator(name));
    const followed = [await lines?.innerHTML(), await size?.textContent()];
    await page.reload();
    expect([await lines?.innerHTML(), await size?.textContent()]).toEqual(followed);
    return lengths.size > 2;
  }

  /** Follows guests of so many instructions, and of more and more until one was long enough to be seen at work. Gives the last one's job. */
  async function followLive(
    instructions: number,
    begin: (instructions: number) => Promise<string>,
  ): Promise<string> {
    const id = await begin(instructions);
    if (await follow(id)) return id;
    expect(instructions * 4, "a guest that can be seen at work").toBeLessThan(LONGEST_INSTRUCTIONS);
    return followLive(instructions * 4, begin);
  }

  test("a running job's console comes by itself, byte for byte what it is afterwards", async () => {
    const lines = Array.from(
      { length: 150 },
      (_, index) => `\x1b[3${index % 8}mline ${index}\x1b[0m of a slow guest`,
    );
    await followLive(2_500_000_000, (instructions) =>
      dashboard.post(scriptOf("slow", lines.join("\n"), instructions), {
        labels: { name: "slow" },
        limits: NO_LIMITS,
      }),
    );
    expect(await visitor.page.locator("#lines .l").count()).toBeGreaterThanOrEqual(lines.length);
    expect(await visitor.page.locator("#pictures svg").count()).toBeGreaterThan(2);
    expect(visitor.incidents).toEqual([]);
  });

  describe("what is meant to do harm", () => {
    const HOSTILE = MARKUP.map((text) => text.slice(0, 200));
    const LABELS = Object.fromEntries([
      ["name", HOSTILE[2] ?? ""],
      ["git_repository_url", "javascript:alert(40)"],
      ["log_url", 'https://example.com/"onclick=alert(41)//<script>'],
      ["odd", "\0\x1b[31m\u202eabc\ud800"],
      ...HOSTILE.slice(3, 12).map((text, index) => [`l${index}`, text]),
    ]);
    let id: string;

    const post = (instructions: number): Promise<string> =>
      dashboard.post(
        { name: "hostile", events: injectionEvents(Math.floor(instructions / injectionEvents(1).length)) },
        {
          cmdline: `console=hvc0 ${HOSTILE[0]} "><img src=x onerror=alert(42)>`,
          labels: LABELS,
          expect: { pass: ["the end"], fail: ["<nothing>"] },
          limits: NO_LIMITS,
        },
      );

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
      id = await followLive(1_000_000_000, post);
      await expectHarmless(page);
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
        const { headers } = await fetch(new URL(path, dashboard.url), {
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
  test("a batch is a grid of its jobs", async () => {
    const { page, incidents } = visitor;
    const sha256 = async (script: Script): Promise<string> =>
      (await dashboard.client.job(await dashboard.post(script))).kernel.sha256;
    const kernels = [
      { sha256: await sha256(scriptOf("kernel-a", "up\nlogin: ", 20_000_000)) },
      { sha256: await sha256(scriptOf("kernel-b", "up\nKernel panic - not syncing: <b>", 20_000_000)) },
    ];
    const body = {
      name: "nightly <i>",
      matrix: { kernel: kernels, memory: [64, 128, 256], cmdline: ["quiet", "<script>alert(50)</script>"] },
    };
    const response = await dashboard.client.request("/batches", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const { id } = (await response.json()) as { id: string };
    // While jobs run the list is put in anew; what was ticked in it stays so, wherever it is now.
    const running = await dashboard.post(ENDLESS, UNLIMITED);
    await page.goto("/");
    const box = page.locator(".jobs input[type=checkbox]").last();
    await box.check();
    const chosen = await box.inputValue();
    await page.evaluate(`document.getElementById("list").dataset.old = "1"`);
    await expect.poll(() => page.locator("#list[data-old]").count()).toBe(0);
    expect(
      await page.evaluate(`[...document.querySelectorAll(".jobs input:checked")].map((box) => box.value)`),
    ).toEqual([chosen]);
    await dashboard.client.request(`/jobs/${running}`, { method: "DELETE" });
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
    // The batch's own word comes first, then its line in the index.
    const list = async () => {
      await page.reload();
      return await page.textContent("#list");
    };
    await expect.poll(list).toContain("No batch is like that");
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
      // What has no script of its own is looked at without any: dashboard-plain.e2e.test.ts.
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
      const other = await dashboard.visitor(options);
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
