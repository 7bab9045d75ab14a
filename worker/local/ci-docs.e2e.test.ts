import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { prepareFixture } from "../../r2-fixtures/index.ts";
import type { JobView } from "../runner/record.ts";
import type { Client } from "./client.ts";
import { LocalServer } from "./server.ts";
import { commandsIn, type JobResult, runWorkflow, workflowChecker } from "./testing/github-runner.ts";
import { quietPort } from "./testing/quiet-port.ts";

/*
 * What docs/ci.md and README.md tell people to put into their CI works. GitHub's own parser and actionlint have nothing to say against the
 * workflows, and a stand-in for GitHub's runner runs them: README's two blocks in a repository that somebody pushes, whose kernel boots in
 * the runner itself, or does not; that of docs/ci.md against a worker on this machine. GitLab's job is run as one script. The commands
 * of docs/ci.md are run, too, and its receiver receives.
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

interface GitlabJob {
  readonly script: readonly string[];
  readonly before_script: readonly string[];
}

let server: LocalServer;
let client: Client;
let directory: string;

beforeAll(async () => {
  // The receiver comes late: nobody else must have its port by then.
  receiverPort = await quietPort();
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

/** An empty directory, which goes afterwards. */
async function inRunner<T>(work: () => Promise<T>): Promise<T> {
  directory = await mkdtemp(join(tmpdir(), "xenner-ci-"));
  try {
    return await work();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

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

const github = blocksIn(CI, "yaml").find((text) => text.startsWith("# .github/"));
const gitlab = blocksIn(CI, "yaml").find((text) => text.startsWith("# .gitlab-ci.yml"));
const [inRepository = "", ...others] = blocksIn(README, "yaml");
/** README's second block: the first one of commands that comes after the workflow. */
const [pushed = ""] = blocksIn(README.slice(README.indexOf(inRepository)), "sh");

/** The bytes of hello, which print what a Linux does that finds no root file system: as long as its first line. */
async function linuxLike(): Promise<Buffer> {
  const [before, after] = ["hello: a PV guest of 64 bits", "Unable to mount root fs: none"];
  const bytes = await readFile(hello.kernelPath);
  const at = bytes.indexOf(before);
  expect(at).toBeGreaterThan(0);
  bytes.write(after.slice(0, before.length), at, "latin1");
  return bytes;
}

/** Commands of a machine of GitHub's that are not for tests: of a kernel tree's make, what it leaves; of npm ci, nothing. */
const commandsOfRunner = (): Promise<string> =>
  commandsIn(join(directory, "bin"), {
    make: `case "$*" in *bzImage*) mkdir -p arch/x86/boot; cp kernel.bin arch/x86/boot/bzImage;; *) test -e Kconfig;; esac`,
    npm: `test "$*" = ci -a -e package-lock.json`,
    sudo: `exec "$@"`,
    // Ubuntu has no package of Debian's kernel.
    "apt-get": "exit 0",
    "apt-cache": `echo "E: No packages found" >&2; exit 100`,
    gh: `test "$*" = "run watch --exit-status"`,
  });

/** A checkout of this repository whose "npm ci" was run: no links, or it would find the kernels that others have fetched. */
async function checkOutXenner(folder: string): Promise<void> {
  const cache = join(ROOT, "r2-fixtures", "cache");
  for (const name of [
    "engine",
    "jobs",
    "worker",
    "r2-fixtures",
    "package.json",
    "package-lock.json",
    "wrangler.toml",
  ])
    await cp(join(ROOT, name), join(folder, name), { recursive: true, filter: (path) => path !== cache });
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
}

/** A clone of somebody's repository, which has nothing in it but what Linux says to git about names with dots. */
async function newRepository(): Promise<string> {
  const clone = join(directory, "kernel");
  const identity = "git config user.name Me; git config user.email me@example.org";
  await shell(
    `git init -q --bare -b main origin.git; git clone -q origin.git kernel 2>&1; cd kernel; ${identity}; git switch -q -c main`,
    {},
  );
  await writeFile(join(clone, ".gitignore"), ".*\n!.gitignore\n");
  return clone;
}

/** What GitHub does when something is pushed: it takes the workflow of that commit, and a runner gets what the commit has. */
async function runPushed(): Promise<JobResult> {
  const sha = (await shell("git -C origin.git rev-parse main", {})).trim();
  const text = await shell("git -C origin.git show main:.github/workflows/boot.yml", {});
  expect((parse(text) as { readonly on: unknown }).on).toContain("push");
  return await runWorkflow(text, {
    github: { repository: "me/kernel", sha, ref_name: "main" },
    path: [await commandsOfRunner()],
    checkOut: async (repository, folder) => {
      if (repository === "me/kernel") await shell(`git clone -q origin.git "${folder}"`, {});
      else if (repository === "me/xenner") await checkOutXenner(folder);
      else throw new Error(`there is no repository ${repository}`);
    },
  });
}

test("GitHub's parser and actionlint have nothing to say against a workflow; what is wrong they find", async () => {
  const problemsOf = await workflowChecker();
  const workflows = [...blocksIn(CI, "yaml"), ...blocksIn(README, "yaml")].filter((text) =>
    text.startsWith("# .github/"),
  );
  expect(workflows).toHaveLength(2);
  // This project's own.
  workflows.push(await readFile(join(ROOT, ".github", "workflows", "ci.yml"), "utf8"));
  for (const text of workflows) {
    expect(await problemsOf(text, "boot.yml")).toEqual([]);
    expect((parse(text) as { readonly permissions: unknown }).permissions).toEqual({ contents: "read" });
  }
  for (const [right, wrong] of [
    ["steps:", "stepz:"],
    ["runs-on: ubuntu-latest", "runs-on: ubuntu-lates"],
    ["github.repository_owner", "github.repository_ovner"],
    ["if: always()", "if: always("],
  ] as const) {
    const text = inRepository.replace(right, wrong);
    expect(text).not.toBe(inRepository);
    expect(await problemsOf(text, "boot.yml")).not.toEqual([]);
  }
});

test("README's two blocks: a new repository is green; with a kernel, too; one that does not boot is red", () =>
  inRunner(async () => {
    expect(others).toEqual([]);
    const clone = await newRepository();
    // The first block is a file whose first line says where it goes; the second is typed.
    const [, path = ""] = /^# (\S+)\n/.exec(inRepository) ?? [];
    await mkdir(dirname(join(clone, path)), { recursive: true });
    await writeFile(join(clone, path), inRepository);
    const env = { PATH: `${await commandsOfRunner()}:${process.env.PATH}` };
    await shell(pushed, env, clone);
    const first = await runPushed();
    expect([first.conclusion, first.log]).toEqual(["success", expect.stringContaining("HELLO-OK")]);
    expect(first.log).toContain('Booting "hello" instead');

    const kernels = [
      { bytes: await linuxLike(), conclusion: "success", failures: 0, verdict: "pass" },
      { bytes: await readFile(hello.kernelPath), conclusion: "failure", failures: 1, verdict: "fail" },
    ] as const;
    for (const { bytes, conclusion, failures, verdict } of kernels) {
      await writeFile(join(clone, "Kconfig"), "");
      await writeFile(join(clone, "kernel.bin"), bytes);
      await shell("git add . && git commit -q -m Kernel && git push -q", {}, clone);
      const { log, summary, artifacts, ...result } = await runPushed();
      expect([result.conclusion, log]).toEqual([conclusion, expect.stringContaining("HELLO-OK")]);
      expect(summary).toContain(`| ${verdict} |`);
      // The worker is gone when somebody reads this.
      expect(summary).not.toContain("http://");
      expect(artifacts["boot/boot.xml"]).toMatch(new RegExp(`<testsuite[^>]* failures="${failures}"`));
      const boot = result.steps.find(({ name }) => name === "Boot");
      expect([boot?.outcome, result.steps.at(-1)?.outcome]).toEqual([conclusion, "success"]);
    }
  }));

test("the GitHub workflow sends a kernel and is green, with a report and a summary; red if it does not boot", () =>
  inRunner(async () => {
    const boot = async (bytes: Uint8Array | string): Promise<JobResult> =>
      await runWorkflow(github ?? "", {
        github: { repository: "me/kernel", sha: SHA, ref_name: "feature/x" },
        vars: { XENNER_URL: server.url },
        secrets: { XENNER_TOKEN: server.token },
        path: [await commandsOfRunner()],
        checkOut: async (_, folder) => {
          await writeFile(join(folder, "Kconfig"), "");
          await writeFile(join(folder, "kernel.bin"), bytes);
        },
      });
    const green = await boot(await linuxLike());
    expect([green.conclusion, green.log]).toEqual(["success", expect.stringContaining("HELLO-OK")]);
    expect(green.artifacts["boot/boot.xml"]).toContain("<testsuite");
    expect(green.summary).toMatch(/pass/i);
    const id = green.steps.find(({ name }) => name === "Boot")?.outputs.job ?? "";
    expect((await client.job(id)).config.labels).toEqual({
      name: "feature/x",
      git_repository: "me/kernel",
      git_commit_hash: SHA,
    });
    // One that does not print what is wanted, and one that cannot be booted.
    const red = await boot(await readFile(hello.kernelPath));
    expect([red.conclusion, red.steps.at(-1)?.outcome]).toEqual(["failure", "success"]);
    expect(red.artifacts["boot/boot.xml"]).toContain("<failure");
    expect((await boot("no kernel")).conclusion).toBe("failure");
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
    await writeFile(join(directory, "bzImage"), await linuxLike());
    // One shell for all lines, as there.
    expect(await shell(boot.script.join("\n"), env)).toContain("HELLO-OK");
    expect(await readFile(join(directory, "boot.xml"), "utf8")).toContain("<testsuite");
    await writeFile(join(directory, "bzImage"), "no kernel");
    await expect(shell(boot.script.join("\n"), env)).rejects.toThrow();
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
    // A queue makes it.
    const view = (): Promise<JobView | undefined> => client.job(run).catch(() => undefined);
    await expect.poll(async () => (await view())?.fixture).toBe("hello");
  }));
