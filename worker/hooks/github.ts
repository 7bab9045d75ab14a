import { newJobId } from "../create-job.ts";
import { replaceUrls } from "./artifacts.ts";
import { GITHUB_EVENTS, type HooksConfig, type Rule } from "./config.ts";
import type { Run } from "./record.ts";
import { fillTemplate, type Values } from "./template.ts";

/*
 * GitHub's webhooks (docs.github.com/webhooks/webhook-events-and-payloads): what an event says, and which rules it fits.
 */

type Fields = Readonly<Record<string, unknown>>;

/** What rules look at. */
export interface GithubEvent {
  readonly event: (typeof GITHUB_EVENTS)[number];
  readonly action: string | undefined;
  readonly workflow: string | undefined;
  readonly conclusion: string | undefined;
  readonly values: Values;
}

const BRANCH = "refs/heads/";
const TAG = "refs/tags/";
const COMMIT = /^[0-9a-f]{40}$/;
/** What is meant where a rule names no action. */
const USUAL_ACTIONS: Readonly<Record<string, string | undefined>> = {
  workflow_run: "completed",
  release: "published",
};

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
const objectIn = (fields: Fields, name: string): Fields => {
  const value = fields[name];
  return isObject(value) ? value : {};
};
const textIn = (fields: Fields, name: string): string | undefined => {
  const value = fields[name];
  return typeof value === "string" && value !== "" ? value : undefined;
};
const known = (values: Readonly<Record<string, string | undefined>>): Values =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

/** What an event says; undefined for one that no rule can be about, such as a branch that was deleted. */
export function readGithubEvent(name: string, payload: unknown): GithubEvent | undefined {
  const event = GITHUB_EVENTS.find((one) => one === name);
  if (event === undefined || !isObject(payload)) return undefined;
  const repository = textIn(objectIn(payload, "repository"), "full_name");
  const action = textIn(payload, "action");
  switch (event) {
    case "push": {
      const ref = textIn(payload, "ref") ?? "";
      if (payload.deleted === true) return undefined;
      const values = known({
        repository,
        sha: textIn(payload, "after"),
        branch: ref.startsWith(BRANCH) ? ref.slice(BRANCH.length) : undefined,
        tag: ref.startsWith(TAG) ? ref.slice(TAG.length) : undefined,
      });
      return { event, action, workflow: undefined, conclusion: undefined, values };
    }
    case "workflow_run": {
      const run = objectIn(payload, "workflow_run");
      const values = known({
        repository,
        sha: textIn(run, "head_sha"),
        branch: textIn(run, "head_branch"),
        run_id: typeof run.id === "number" ? String(run.id) : undefined,
      });
      return { event, action, workflow: textIn(run, "name"), conclusion: textIn(run, "conclusion"), values };
    }
    case "release": {
      const release = objectIn(payload, "release");
      const target = textIn(release, "target_commitish");
      const values = known({
        repository,
        tag: textIn(release, "tag_name"),
        ...(target !== undefined && { [COMMIT.test(target) ? "sha" : "branch"]: target }),
      });
      return { event, action, workflow: undefined, conclusion: undefined, values };
    }
  }
}

/** Whether a text fits a pattern in which * stands for any characters. In linear time: the shortest piece that fits is always right. */
export function fits(pattern: string, text: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return text === pattern;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

/** Whether a rule is about an event. */
export function isAbout({ on }: Rule, { event, action, workflow, conclusion, values }: GithubEvent): boolean {
  if (on.event !== event) return false;
  const wanted: readonly (readonly [string | undefined, string | undefined])[] = [
    [on.action ?? USUAL_ACTIONS[event], action],
    [on.repository, values.repository],
    [on.branch, values.branch],
    [on.tag, values.tag],
    [on.workflow, workflow],
    [on.conclusion, conclusion],
  ];
  return wanted.every(
    ([pattern, text]) => pattern === undefined || (text !== undefined && fits(pattern, text)),
  );
}

/** The request with labels that say what it is about, where it has none of that name itself. */
function withLabels(request: Fields, { repository, sha, branch }: Values): Fields {
  const config = objectIn(request, "config");
  const labels = objectIn(config, "labels");
  const own = known({ git_repository: repository, git_commit_hash: sha, git_repository_branch: branch });
  return { ...request, config: { ...config, labels: { ...own, ...labels } } };
}

/** What an event starts. @throws HttpError if it lacks something that a rule's addresses need */
export function runsOf({ github, artifactHosts }: HooksConfig, event: GithubEvent): Run[] {
  return github
    .filter((rule) => isAbout(rule, event))
    .map((rule): Run => {
      const request = withLabels(rule.job ?? rule.batch ?? {}, event.values);
      return {
        kind: rule.job === undefined ? "batch" : "job",
        id: newJobId(),
        rule: rule.name ?? `github[${github.indexOf(rule)}]`,
        token: rule.token,
        request: replaceUrls(request, (url) => ({ url: fillTemplate(url, event.values) })),
        hosts: artifactHosts,
      };
    });
}
