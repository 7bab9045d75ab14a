import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import type { JobView } from "../../runner/record.ts";
import type { Script } from "../../testing/scripted-machine.ts";
import type { Client } from "../client.ts";
import { LocalServer } from "../server.ts";
import { launchBrowser, newVisitor, type Visitor } from "./browser.ts";

export const TOKEN = "a-token-for-the-tests";
const RECORDED = join(import.meta.dirname, "..", "..", "..", "jobs", "console", "recorded");
const POWEROFF = { kind: "shutdown", reason: "poweroff", code: 0 } as const;
const END_POLL_MILLISECONDS = 50;

/** A guest that prints a text, spread over its run. */
export function scriptOf(name: string, text: string, instructions: number): Script {
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

export async function logIn(page: Page, address = "/login"): Promise<void> {
  await page.goto(address);
  await page.fill("#token", TOKEN);
  await page.click("text=Log in >> nth=-1");
}

/** Three jobs that have ended: two that crashed with recorded consoles, and one that passed. */
export type Jobs = Readonly<Record<"bug" | "null" | "good", string>>;

/** A worker whose guests are scripts, and a browser for its pages. */
export class Dashboard {
  readonly url: string;
  readonly client: Client;
  readonly browser: Browser;
  readonly #server: LocalServer;

  private constructor(server: LocalServer, browser: Browser) {
    this.#server = server;
    this.browser = browser;
    this.url = server.url;
    this.client = server.client();
  }

  static async start(): Promise<Dashboard> {
    const entry = join(import.meta.dirname, "..", "..", "testing", "index.ts");
    const server = await LocalServer.start({ token: TOKEN, entry });
    try {
      return new Dashboard(server, await launchBrowser());
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.#server.stop();
  }

  visitor(options: BrowserContextOptions = {}): Promise<Visitor> {
    return newVisitor(this.browser, this.url, options);
  }

  /** POST /jobs with a script for a kernel; the job's id. */
  async post(script: Script, config: unknown = {}): Promise<string> {
    const form = new FormData();
    form.set("kernel", new Blob([JSON.stringify(script)]), "kernel");
    form.set("config", JSON.stringify(config));
    const response = await this.client.request("/jobs", { method: "POST", body: form });
    return ((await response.json()) as JobView).id;
  }

  /** Jobs to look at. Resolves when they have ended, and the lists know it. */
  async makeJobs(): Promise<Jobs> {
    const recorded = (name: "bug" | "null"): Promise<string> => {
      const text = readFileSync(join(RECORDED, `${name}.txt`), "latin1");
      const labels = { name: `boot ${name}`, branch: "main" };
      return this.post(scriptOf(name, text, 200_000_000), { labels });
    };
    const colours = "\x1b[1;32m[  OK  ]\x1b[0m Started \x1b[38;5;208mudev\x1b[0m.\nlogin: ";
    const jobs = {
      bug: await recorded("bug"),
      null: await recorded("null"),
      good: await this.post(scriptOf("good", colours, 50_000_000), {
        labels: { name: "good", branch: "next" },
        expect: { pass: ["login:"] },
      }),
    };
    const all = Object.values(jobs);
    for (;;) {
      const response = await this.client.request("/jobs?state=passed,failed,crashed,timeout,error");
      const listed = ((await response.json()) as { jobs: readonly { id: string }[] }).jobs;
      if (all.every((id) => listed.some((job) => job.id === id))) return jobs;
      await sleep(END_POLL_MILLISECONDS);
    }
  }
}
