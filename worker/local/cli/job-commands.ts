import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import type { JobPage } from "../../database/list-jobs.ts";
import { followBatch, readBatch, sendBatch } from "../batch.ts";
import { ApiError, type Client } from "../client.ts";
import { count, hypercallTable, summary, table } from "../report.ts";
import { type Command, clientOf, idOf, parseCommand, WORKER_FLAGS, WORKER_HELP } from "./command.ts";
import { EXIT, exitOf, note } from "./exit.ts";
import {
  parseStartOptions,
  REPORT_FORMATS,
  RUN_FLAGS,
  reportFormat,
  startHelp,
  UsageError,
} from "./job-options.ts";
import { Progress } from "./progress.ts";
import { onSignal, statusOf } from "./signals.ts";
import { inputOf, requestOf, subjectOf } from "./subject.ts";

/* The commands that have to do with jobs and batches of a worker. */

const JSON_FLAG = { json: { type: "boolean" } } as const;
const ID_WORD = "ID";

/** What an id is of. @throws ApiError 404 if there is neither such a job nor such a batch */
async function kindOf(client: Client, id: string): Promise<"jobs" | "batches"> {
  try {
    await client.job(id);
    return "jobs";
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
  try {
    await client.request(`/batches/${id}`);
    return "batches";
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    const message = `There is no job or batch ${id} there, or it is another token's.`;
    throw new ApiError(error.status, { ...error.error, message });
  }
}

async function print(text: string | Uint8Array): Promise<void> {
  // A pipe that is slow must not fill the memory.
  if (!process.stdout.write(text)) await once(process.stdout, "drain");
}

export const RUN: Command = {
  name: "run",
  summary: "boot a kernel, or a batch, in a worker on this machine and wait for the verdict",
  help: startHelp("xenner run"),
  options: RUN_FLAGS,
  async run(args) {
    // Only this needs the runtime, which takes longer to load than the other commands to run.
    const { runCommand } = await import("./run.ts");
    return runCommand(args, "xenner run");
  },
};

const SUBMIT_HELP = `Usage: xenner submit [OPTIONS]

Sends a job, or with --batch many, to a worker and prints its id; waits for nothing.
Options are those of "xenner run"; --url and --token are by default $XENNER_URL and $XENNER_TOKEN.

Examples
  JOB=$(xenner submit --kernel bzImage --rootfs initrd.cpio.gz --expect 'login:')
  xenner watch $JOB
  xenner submit --fixture hello --json

Exit status: 0 sent, 2 infrastructure error, 64 wrong use or refused input.
`;

/** Options of `run` that are about the time after the job's start. */
const NOT_WHEN_SUBMITTING = ["junit", "report", "snapshot", "snapshot-at", "state-hash-every", "list"];

export const SUBMIT: Command = {
  name: "submit",
  summary: "send a job or a batch to a worker and print its id",
  help: SUBMIT_HELP,
  options: RUN_FLAGS.filter((flag) => !NOT_WHEN_SUBMITTING.includes(flag)),
  async run(args) {
    const { url, token, ...rest } = splitWorker(args);
    const options = parseStartOptions(rest.args);
    if (options.help) {
      await print(SUBMIT_HELP);
      return EXIT.pass;
    }
    const refused = NOT_WHEN_SUBMITTING.find((flag) =>
      rest.args.some((argument) => argument.split("=")[0] === `--${flag}`),
    );
    if (refused !== undefined) throw new UsageError(`--${refused} goes with run, which waits for the job`);
    const client = clientOf({ ...(url !== undefined && { url }), ...(token !== undefined && { token }) });
    const { kernel, fixture, from } = options;
    if ([kernel, fixture, from, options.batch].every((what) => what === undefined)) {
      throw new UsageError(
        "say what to boot: --kernel FILE, --fixture NAME, --from SNAPSHOT or --batch FILE",
      );
    }
    if (options.batch !== undefined) {
      const batch = await sendBatch(client, await readBatch(options.batch), { server: undefined, log: note });
      await print(options.json ? `${JSON.stringify(batch, null, 2)}\n` : `${batch.id}\n`);
      return EXIT.pass;
    }
    const subject = await subjectOf(options);
    const input = options.input === undefined ? {} : { input: await inputOf(options.input) };
    const request = await requestOf(client, subject);
    const job = await client.createJob({ ...request, config: { ...subject.config, ...input } });
    await print(options.json ? `${JSON.stringify(job, null, 2)}\n` : `${job.id}\n`);
    return EXIT.pass;
  },
};

/** --url and --token, which `run` takes in another way, and the other arguments. */
function splitWorker(args: readonly string[]): {
  readonly url: string | undefined;
  readonly token: string | undefined;
  readonly args: readonly string[];
} {
  const others: string[] = [];
  const found = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const [, name, value] = /^--(url|token)(?:=(.*))?$/s.exec(args[i] ?? "") ?? [];
    if (name === undefined) others.push(args[i] ?? "");
    else {
      const text = value ?? args[++i];
      if (text === undefined) throw new UsageError(`--${name} needs a value`);
      found.set(name, text);
    }
  }
  return { url: found.get("url"), token: found.get("token"), args: others };
}

export const WATCH: Command = {
  name: "watch",
  summary: "follow a job's console, or a batch, to the verdict",
  help: `Usage: xenner watch ID [OPTIONS]

Follows a job: its console as it comes, then verdict and figures. A connection that breaks goes on where it was.
Follows a batch: a line for each job as it ends, a table, and the worst verdict.

  --json                  print one JSON document at the end and nothing else on standard output
${WORKER_HELP}
Examples
  xenner watch 0123456789abcdef0123456789abcdef
  xenner watch --json $JOB | jq .verdict

Ctrl-C ends the watching, not the job.

Exit status: 0 pass, 1 fail, 2 infrastructure error, 64 wrong use or no such job; 130 after Ctrl-C.
`,
  options: ["json", ...Object.keys(WORKER_FLAGS)],
  async run(args) {
    const { values, words } = parseCommand(args, { ...WORKER_FLAGS, ...JSON_FLAG }, [ID_WORD]);
    if (values.help === true) return await help(WATCH);
    const json = values.json === true;
    const client = clientOf(values);
    const id = idOf(words[0]);
    onSignal((signal) => {
      if (signal !== "SIGPIPE")
        note(`\n${signal}: it goes on; xenner watch ${id} follows it again, xenner cancel ${id} ends it`);
      process.exit(statusOf(signal));
    });
    if ((await kindOf(client, id)) === "batches") return await followBatch(client, id, json);
    const { config } = await client.job(id);
    const progress = new Progress(client);
    if (!json) await progress.start(id, config.labels);
    const job = await client.followConsole(id, (bytes) => {
      if (json) return;
      progress.clear();
      process.stdout.write(bytes);
      progress.wrote(bytes);
    });
    progress.stop();
    const hypercalls = await client.hypercalls(id);
    if (json) await print(`${JSON.stringify({ ...job, hypercalls: hypercalls ?? null }, null, 2)}\n`);
    else
      await print(
        `\n${summary(job)}\n${hypercalls === undefined ? "" : `\n${hypercallTable(hypercalls)}\n`}`,
      );
    return exitOf(job);
  },
};

export const LOGS: Command = {
  name: "logs",
  summary: "print a job's console",
  help: `Usage: xenner logs ID [OPTIONS]

Prints what a job's guest has printed, byte for byte.

  --offset N              begin at byte N
  --follow                go on until the job ends
${WORKER_HELP}
Examples
  xenner logs $JOB | grep -a BUG:
  xenner logs --follow $JOB

Exit status: 0, 2 infrastructure error, 64 wrong use or no such job.
`,
  options: ["offset", "follow", ...Object.keys(WORKER_FLAGS)],
  async run(args) {
    const flags = { ...WORKER_FLAGS, offset: { type: "string" }, follow: { type: "boolean" } } as const;
    const { values, words } = parseCommand(args, flags, [ID_WORD]);
    if (values.help === true) return await help(LOGS);
    const offset = Number(values.offset ?? 0);
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new UsageError(`--offset needs a number of bytes, not "${values.offset}"`);
    const client = clientOf(values);
    const id = idOf(words[0]);
    if (values.follow === true) {
      await client.followConsole(id, (bytes) => process.stdout.write(bytes), offset);
      return EXIT.pass;
    }
    const response = await client.request(`/jobs/${id}/console?offset=${offset}`);
    for await (const bytes of response.body ?? []) await print(bytes);
    return EXIT.pass;
  },
};

export const REPORT: Command = {
  name: "report",
  summary: "write a report of a job or batch: JUnit, KTAP, KCIDB, Markdown, JSON",
  help: `Usage: xenner report ID FORMAT [OPTIONS]

FORMAT is one of ${REPORT_FORMATS.join(", ")}; xml is JUnit.

  --output FILE           where to (default: standard output)
${WORKER_HELP}
Examples
  xenner report $JOB xml --output junit.xml
  xenner report $BATCH md >> $GITHUB_STEP_SUMMARY

Exit status: 0, 2 infrastructure error, 64 wrong use or no such job.
`,
  options: ["output", ...Object.keys(WORKER_FLAGS)],
  words: REPORT_FORMATS,
  async run(args) {
    const flags = { ...WORKER_FLAGS, output: { type: "string", short: "o" } } as const;
    const { values, words } = parseCommand(args, flags, [ID_WORD, "FORMAT"]);
    if (values.help === true) return await help(REPORT);
    const format = reportFormat(words[1] ?? "");
    const client = clientOf(values);
    const id = idOf(words[0]);
    const response = await client.request(`/${await kindOf(client, id)}/${id}/report.${format}`);
    if (values.output === undefined) {
      for await (const bytes of response.body ?? []) await print(bytes);
      return EXIT.pass;
    }
    await writeFile(values.output, response.body ?? []);
    return EXIT.pass;
  },
};

/** What a job without a name is called by, as on the dashboard. */
const SHORT_HASH = 12;
/** As of GET /jobs. */
const MOST_LISTED = 500;
const LIST_FILTERS = ["state", "verdict", "batch", "text", "limit"] as const;

export const LIST: Command = {
  name: "list",
  summary: "list jobs, newest first",
  help: `Usage: xenner list [OPTIONS]

  --state STATE           only these, with commas between them
  --verdict VERDICT       the same
  --label NAME=VALUE      only jobs with this label (may be repeated)
  --batch ID, --text TEXT
  --limit N               how many
  --json                  print JSON
${WORKER_HELP}
Examples
  xenner list --verdict fail,crash --label branch=main

Exit status: 0, 2 infrastructure error, 64 wrong use.
`,
  options: [...LIST_FILTERS, "label", "json", ...Object.keys(WORKER_FLAGS)],
  async run(args) {
    const flags = {
      ...WORKER_FLAGS,
      ...JSON_FLAG,
      label: { type: "string", multiple: true },
      state: { type: "string" },
      verdict: { type: "string" },
      batch: { type: "string" },
      text: { type: "string" },
      limit: { type: "string" },
    } as const;
    const { values } = parseCommand(args, flags, []);
    if (values.help === true) return await help(LIST);
    const query = new URLSearchParams(
      LIST_FILTERS.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])),
    );
    for (const label of values.label ?? []) query.append("label", label);
    const page = (await (await clientOf(values).request(`/jobs?${query}`)).json()) as JobPage;
    if (values.json === true) await print(`${JSON.stringify(page, null, 2)}\n`);
    else {
      const rows = page.jobs.map(
        ({ id, state, createdAt, instructions, labels, fixture, kernel, reason }) => [
          id,
          state,
          createdAt,
          count(instructions),
          labels.name ?? fixture ?? kernel.slice(0, SHORT_HASH),
          reason ?? "",
        ],
      );
      await print(`${table(["job", "state", "made", "instructions", "name", "reason"], rows).join("\n")}\n`);
      if (page.next !== null) note(`There are more: --limit N shows up to ${MOST_LISTED}.`);
    }
    return EXIT.pass;
  },
};

export const CANCEL: Command = {
  name: "cancel",
  summary: "cancel a job or all jobs of a batch",
  help: `Usage: xenner cancel ID [OPTIONS]

Cancels a job, or all jobs of a batch that have not ended. What has ended stays as it is.

${WORKER_HELP}
Examples
  xenner cancel $JOB

Exit status: 0, 2 infrastructure error, 64 wrong use or no such job.
`,
  options: Object.keys(WORKER_FLAGS),
  async run(args) {
    const { values, words } = parseCommand(args, WORKER_FLAGS, [ID_WORD]);
    if (values.help === true) return await help(CANCEL);
    const client = clientOf(values);
    const id = idOf(words[0]);
    await client.request(`/${await kindOf(client, id)}/${id}`, { method: "DELETE" });
    return EXIT.pass;
  },
};

async function help(command: Command): Promise<number> {
  await print(command.help);
  return EXIT.pass;
}
