import type { Env } from "../env.ts";
import type { NewDelivery, Subject } from "./record.ts";
import { githubApiOf, publicUrl } from "./settings.ts";

/*
 * GitHub's commit statuses (docs.github.com/rest/commits/statuses). Whoever labels a job or batch with git_repository and git_commit_hash
 * gets one, where the worker has a GITHUB_TOKEN and may write to that repository.
 */

const DESCRIPTION_CHARACTERS = 140;
const CONTEXT_CHARACTERS = 100;
const REPOSITORY = /^[A-Za-z0-9_.-]{1,100}\/[A-Za-z0-9_.-]{1,100}$/;
const COMMIT = /^[0-9a-f]{40}$/;

export type StatusState = "pending" | "success" | "failure" | "error";
export type Labels = Readonly<Record<string, string>>;

/** The commit that labels name; undefined if they name none. */
export function commitOf(
  labels: Labels,
): { readonly repository: string; readonly commit: string } | undefined {
  const { git_repository: repository = "", git_commit_hash: hash = "" } = labels;
  const commit = hash.toLowerCase();
  const parts = repository.split("/");
  // "." and ".." would be other paths of the API.
  if (!REPOSITORY.test(repository) || parts.some((part) => /^\.+$/.test(part)) || !COMMIT.test(commit))
    return undefined;
  return { repository, commit };
}

/** GITHUB_REPOSITORIES: "owner/name" or "owner/*", commas between them; without it, none: any job may name any repository. */
export function mayReport(
  { GITHUB_REPOSITORIES = "" }: Pick<Env, "GITHUB_REPOSITORIES">,
  repository: string,
): boolean {
  const allowed = GITHUB_REPOSITORIES.split(",")
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== "");
  const name = repository.toLowerCase();
  const [owner = ""] = name.split("/");
  return allowed.includes(name) || allowed.includes(`${owner}/*`);
}

/** The state of a commit for a verdict; null is for a run that goes on. */
export function statusStateOf(verdict: string | null): StatusState {
  switch (verdict) {
    case null:
      return "pending";
    case "pass":
    case "skip":
      return "success";
    case "canceled":
    case "error":
      return "error";
    default:
      return "failure";
  }
}

const shorten = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;

/** The status to be sent; undefined if there is none to send. */
export function statusDelivery(
  env: Pick<Env, "GITHUB_TOKEN" | "GITHUB_API" | "GITHUB_REPOSITORIES" | "PUBLIC_URL">,
  { kind, id }: Subject,
  event: {
    readonly number: number;
    readonly type: string;
    readonly labels: Labels;
    readonly name: string;
    readonly state: StatusState;
    readonly description: string;
  },
): NewDelivery | undefined {
  const target = commitOf(event.labels);
  if (env.GITHUB_TOKEN === undefined || env.GITHUB_TOKEN === "" || target === undefined) return undefined;
  const { repository, commit } = target;
  if (!mayReport(env, repository)) return undefined;
  const page = publicUrl(env, kind === "job" ? `/jobs/${id}` : `/batches/${id}`);
  const body = {
    state: event.state,
    context: shorten(`xenner/${event.name}`, CONTEXT_CHARACTERS),
    description: shorten(event.description, DESCRIPTION_CHARACTERS),
    ...(page !== undefined && { target_url: page }),
  };
  return {
    id: `${id}.${event.number}.s`,
    kind: "status",
    webhookId: `evt_${id}_${event.number}`,
    type: event.type,
    url: `${githubApiOf(env)}/repos/${repository}/statuses/${commit}`,
    secret: null,
    body: JSON.stringify(body),
  };
}
