import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import type { JobView } from "../runner/record.ts";
import type { Client } from "./client.ts";
import { LocalServer } from "./server.ts";

/*
 * What docs/ci.md and README.md tell people to put into their CI works. The workflows are read as YAML and their steps are run by a shell
 * as GitHub's and GitLab's runners run them, against a worker on this machine; what a runner puts in for ${{ … }} is put in, and an
 * expression that is not known fails. The commands of docs/ci.md are run, too, and its receiver receives.
 */

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "..", "..");
const GENERIC_SECRET = `whsec_${randomBytes(32).toString("base64")}`;
const SHA = "0123456789abcdef0123456789abcdef01234567";

const hello = await prepareFixture("hello", { log: () => {} });
const CI = await readFile(join(ROOT, "docs", "ci.md"), "utf8");
const README = await readFile(join(ROOT, "README.md"), "utf8");

/** Blocks of one language. */
const blocksIn = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(([, block = ""]) => block);

interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly if?: string;
}
interface Workflow {
  readonly on: unknown;
  readonly permissions: unknown;
  readonly jobs: Readonly<
    Record<string, { readonly env?: Readonly<Record<string, string>>; readonly steps: readonly Step[] }>
  >;
}
interface GitlabJob {
  readonly script: readonly string[];
  readonly before_script: readonly string[];
}

let server: LocalServer;
let client: Client;
let directory: string;

beforeAll(async () => {
  const receiver = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => receiver.once("listening", done));
  receiverPort = (receiver.address() as AddressInfo).port;
  await new Promise((done) => receiver.close(done));
  server = await LocalServer.start({
    network: ["127.0.0.1/32"],
    variables: {
      GENERIC_WEBHOOK_SECRET: GENERIC_SECRET,
      NOTIFY_ALLOW: `127.0.0.1:${receiverPort}`,
      NOTIFY_RETRY_SECONDS: "0.2",
    },
  });
  client = server.client();
  await server.storeFixture(hello);
});
afterAll(() => server.stop());

let receiverPort: number;

/** A runner's empty directory, with what the steps before have left there. */
async function inRunner<T>(work: () => Promise<T>): Promise<T> {
  directory = await mkdtemp(join(tmpdir(), "xenner-ci-"));
  try {
    await copyFile(hello.kernelPath, join(directory, "bzImage"));
    await writeFile(join(directory, "summary.md"), "");
    await writeFile(join(directory, "output"), "");
    return await work();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const EXPRESSIONS = (): Readonly<Record<string, string>> => ({
  "vars.XENNER_URL": server.url,
  "secrets.XENNER_TOKEN": server.token,
  "vars.KERNEL_URL": pathToFileURL(hello.kernelPath).href,
  "github.ref_name": "feature/x",
  "github.repository": "me/kernel",
  "github.sha": SHA,
});

function fillIn(text: string): string {
  return text.replace(/\$\{\{\s*(.*?)\s*\}\}/g, (whole, name: string) => {
    const value = EXPRESSIONS()[name];
    if (value === undefined) throw new Error(`what is ${whole}?`);
    return value;
  });
}

const filled = (env: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [name, fillIn(value)]));

/** What a shell printed; rejects if it ended with another status than 0. */
async function shell(
  script: string,
  env: Readonly<Record<string, string>>,
  cwd = directory,
): Promise<string> {
  const path = join(directory, "step.sh");
  await writeFile(path, script);
  const { stdout } = await run("bash", ["--noprofile", "--norc", "-eo", "pipefail", path], {
    cwd,
    env: { PATH: process.env.PATH ?? "", HOME: directory, LANG: "C.UTF-8", ...env },
    maxBuffer: 1 << 26,
    timeout: 120_000,
  });
  return stdout;
}

/** Runs the steps of a workflow's only job that are not in `others`, whose work was done before. */
async function runWorkflow(text: string, others: readonly string[], cwd?: string): Promise<string> {
  const workflow = parse(text) as Workflow;
  expect(workflow.permissions).toEqual({ contents: "read" });
  expect(workflow.on).toBeDefined();
  const [job] = Object.values(workflow.jobs);
  let printed = "";
  let steps = 0;
  for (const { name = "", uses, run: script, env } of job?.steps ?? []) {
    if (uses !== undefined) expect(uses).toMatch(/^actions\/(checkout|upload-artifact)@v\d+$/);
    if (script === undefined || others.includes(name)) continue;
    steps++;
    const files = {
      GITHUB_STEP_SUMMARY: join(directory, "summary.md"),
      GITHUB_OUTPUT: join(directory, "output"),
    };
    printed += await shell(
      fillIn(script),
      { ...filled(job?.env), ...filled(env), ...files, CI: "true" },
      cwd,
    );
  }
  expect(steps).toBeGreaterThan(0);
  return printed;
}

const github = blocksIn(CI, "yaml").find((text) => text.startsWith("# .github/"));
const gitlab = blocksIn(CI, "yaml").find((text) => text.startsWith("# .gitlab-ci.yml"));
const inRepository = blocksIn(README, "yaml").find((text) => text.startsWith("# .github/"));

test("the GitHub workflow sends a kernel and is green, with a report and a summary; red if it does not boot", () =>
  inRunner(async () => {
    const printed = await runWorkflow(github ?? "", ["Build"]);
    expect(printed).toContain("HELLO-OK");
    expect(await readFile(join(directory, "boot.xml"), "utf8")).toContain("<testsuite");
    expect(await readFile(join(directory, "summary.md"), "utf8")).toMatch(/pass/i);
    const [, id = ""] = /^job=([0-9a-f]{32})$/m.exec(await readFile(join(directory, "output"), "utf8")) ?? [];
    expect((await client.job(id)).config.labels).toEqual({
      name: "feature/x",
      git_repository: "me/kernel",
      git_commit_hash: SHA,
    });
    // A kernel that cannot be booted, and one that does not print what is wanted.
    await writeFile(join(directory, "bzImage"), "no kernel");
    await expect(runWorkflow(github ?? "", ["Build"])).rejects.toThrow();
    await copyFile(hello.kernelPath, join(directory, "bzImage"));
    const stricter = (github ?? "").replace("{memory: 256,", '{memory: 256, expect: {pass: ["NEVER"]},');
    expect(stricter).not.toBe(github);
    await expect(runWorkflow(stricter, ["Build"])).rejects.toThrow();
  }));

test("the GitLab job does the same", () =>
  inRunner(async () => {
    const { boot } = parse(gitlab ?? "") as { readonly boot: GitlabJob };
    expect(boot.before_script.join()).toContain("curl jq");
    const env = {
      XENNER_URL: server.url,
      XENNER_TOKEN: server.token,
      CI_COMMIT_REF_NAME: "main",
      CI_COMMIT_SHA: SHA,
    };
    // One shell for all lines, as there.
    expect(await shell(boot.script.join("\n"), env)).toContain("HELLO-OK");
    expect(await readFile(join(directory, "boot.xml"), "utf8")).toContain("<testsuite");
    await writeFile(join(directory, "bzImage"), "no kernel");
    await expect(shell(boot.script.join("\n"), env)).rejects.toThrow();
  }));

test("README's workflow boots in the runner itself", () =>
  inRunner(async () => {
    // A checkout of this repository whose "npm ci" was run.
    const checkout = join(directory, "checkout");
    await mkdir(checkout);
    for (const name of [
      "engine",
      "jobs",
      "worker",
      "r2-fixtures",
      "node_modules",
      "package.json",
      "wrangler.toml",
    ])
      await symlink(join(ROOT, name), join(checkout, name));
    const [job] = Object.values((parse(inRepository ?? "") as Workflow).jobs);
    expect(job?.steps.find(({ name }) => name === "Install")?.run).toBe("npm ci");
    const printed = await runWorkflow(inRepository ?? "", ["Install"], checkout);
    expect(printed).toContain("HELLO-OK");
    expect(await readFile(join(checkout, "boot.xml"), "utf8")).toMatch(/<testsuite[^>]*failures="0"/);
  }));

test("the commands of docs/ci.md: a configuration of hooks, a signed request, a secret and a job that tells", () =>
  inRunner(async () => {
    const commands = blocksIn(CI, "sh");
    expect(commands).toHaveLength(3);
    const env = {
      URL: server.url,
      AUTH: `Authorization: Bearer ${server.token}`,
      GENERIC_WEBHOOK_SECRET: GENERIC_SECRET,
    };
    const answers: string[] = [];
    for (const block of commands) {
      // The receiver is ours; the name is not that of a server.
      const local = block.replace("https://ci.example.org/", `http://127.0.0.1:${receiverPort}/`);
      answers.push(await shell(`${local}\necho; echo "SECRET=\${SECRET:-}"\necho "JOB=\${JOB:-}"`, env));
    }
    expect(answers[0]).toContain('"version":1');
    const [, run = ""] = /"id":"([0-9a-f]{32})"/.exec(answers[1] ?? "") ?? [];
    expect(run).not.toBe("");
    const [, secret = ""] = /^SECRET=(whsec_.+)$/m.exec(answers[2] ?? "") ?? [];
    const [, job = ""] = /^JOB=([0-9a-f]{32})$/m.exec(answers[2] ?? "") ?? [];
    // The receiver of the page, which comes late.
    await symlink(join(ROOT, "node_modules"), join(directory, "node_modules"));
    const [program = ""] = blocksIn(CI, "js");
    await writeFile(join(directory, "receiver.mjs"), program);
    const receiver = spawn(process.execPath, ["receiver.mjs"], {
      cwd: directory,
      env: { PATH: process.env.PATH ?? "", SECRET: secret, PORT: String(receiverPort) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const line = await new Promise<string>((done) => {
        receiver.stdout.once("data", (data: Buffer) => done(String(data)));
        receiver.once("exit", () => done("it ended"));
      });
      expect(line).toBe(`job.ended ${job} pass\n`);
    } finally {
      receiver.kill("SIGKILL");
    }
    const view: JobView = await client.job(run);
    expect(view.fixture).toBe("hello");
  }));
