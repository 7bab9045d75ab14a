import * as z from "zod";
import { parseBatch } from "../../jobs/batch/schema.ts";
import { coded, complain, fields, PATH, parseWith } from "../../jobs/schema/errors.ts";
import { list, oneOf, text } from "../../jobs/schema/values.ts";
import { SpecError } from "../../jobs/spec-error.ts";
import { ROOT } from "../auth/principal.ts";
import { HttpError } from "../errors.ts";
import { checkAddress, type Exempt, RefusedAddress } from "../notify/address.ts";
import { isAllowedHost, replaceUrls, urlsIn } from "./artifacts.ts";
import { HOOK_LIMITS } from "./limits.ts";
import { fillTemplate, namesIn, PLACEHOLDERS, type Values } from "./template.ts";

/** PUT /hooks/config: what is run when somebody else's system says that something happened. */

export const GITHUB_EVENTS = ["push", "workflow_run", "release"] as const;

const HOST_ERROR = coded(
  "bad-host",
  `${PATH} must be a host's name, such as "github.com", with its port if that is another than 443.`,
);
const HOST = z
  .string({ error: HOST_ERROR })
  .regex(/^(?:[a-z0-9.-]{1,253}|\[[0-9a-f:]+\])(?::\d{1,5})?$/, HOST_ERROR)
  .meta({ description: "From which kernels and initrds may be fetched." });

const PATTERN = text()
  .min(1, { error: `${PATH} is empty; leave it out for any.` })
  .max(HOOK_LIMITS.patternCharacters, {
    error: `${PATH} is too long; shorten it to ${HOOK_LIMITS.patternCharacters} characters.`,
  })
  .optional();

const TOKEN_ERROR = coded("bad-token", `${PATH} must be the id of a token, as GET /tokens lists them.`);
const TOKEN = z
  .string({ error: TOKEN_ERROR })
  .regex(/^(?:[0-9a-f]{16}|root)$/, TOKEN_ERROR)
  .default(ROOT)
  .meta({ description: "Id of the token in whose name jobs are made." });

const ON = fields({
  event: oneOf(GITHUB_EVENTS).meta({ description: "X-GitHub-Event." }),
  action: PATTERN.meta({
    description: 'Without it "completed" of a workflow_run, and "published" of a release.',
  }),
  repository: PATTERN.meta({ description: "owner/name; * stands for any characters, here and below." }),
  branch: PATTERN.meta({ description: "Of the push or workflow; where a release comes from." }),
  tag: PATTERN.meta({ description: "Of a pushed tag or a release." }),
  workflow: PATTERN.meta({ description: "Name of the workflow." }),
  conclusion: PATTERN.meta({ description: 'Of the workflow, such as "success".' }),
});

const BODY = z.record(z.string(), z.unknown(), { error: `${PATH} must be a JSON object.` });

const RULE = fields({
  name: text()
    .max(64, { error: `${PATH} is too long; shorten it to 64 characters.` })
    .optional(),
  on: ON,
  token: TOKEN,
  job: BODY.optional().meta({
    description: 'A POST /jobs, in which kernel and initrd may be {"url": template}.',
  }),
  batch: BODY.optional().meta({ description: "A POST /batches, with the same." }),
}).superRefine(({ job, batch }, context) => {
  if ((job === undefined) === (batch === undefined))
    complain(context, "missing", `${PATH} must have either "job" or "batch".`);
});

export const HOOKS_CONFIG = fields({
  artifactHosts: list(HOST, "hosts", HOOK_LIMITS.artifactHosts)
    .default([])
    .meta({ description: "Hosts from which kernels and initrds may be fetched, redirects included." }),
  github: list(RULE, "rules", HOOK_LIMITS.rules)
    .default([])
    .meta({ description: "What GitHub's events start. Each rule that fits starts its job or batch." }),
  generic: fields({ token: TOKEN }).default({ token: ROOT }).meta({ description: "POST /hooks/generic." }),
});

export type HooksConfig = z.output<typeof HOOKS_CONFIG>;
export type Rule = HooksConfig["github"][number];

export const NO_HOOKS: HooksConfig = HOOKS_CONFIG.parse({});

/** Stands for a file that is not fetched yet, to check the rest. */
const ANY_FILE = { sha256: "0".repeat(64) };
const ANY_VALUES: Values = Object.fromEntries(
  PLACEHOLDERS.map((name) => [name, name === "repository" ? "owner/name" : "x"]),
);

/** What a deployment allows. */
export interface Allowed {
  /** From which files may be fetched. */
  readonly hosts: readonly string[];
  readonly exempt: Exempt;
  /** Jobs that a batch may have. */
  readonly batchJobs: number;
}

/**
 * Whether a request could be run, as far as that can be said before its files are there.
 *
 * @throws SpecError naming the field; HttpError for an address from which nothing is fetched
 */
export function checkRun(
  kind: "job" | "batch",
  request: unknown,
  { hosts, exempt, batchJobs }: Allowed,
  path: string,
): void {
  for (const url of urlsIn(request)) {
    const refuse = (why: string): HttpError =>
      new HttpError(422, "refused-url", `${path}: ${url} is not fetched: ${why}.`, { field: path });
    try {
      if (!isAllowedHost(checkAddress(url, exempt), hosts))
        throw refuse("its host is not one of artifactHosts");
    } catch (error) {
      throw error instanceof RefusedAddress ? refuse(error.message) : error;
    }
  }
  const whole = replaceUrls(request, () => ANY_FILE);
  try {
    parseBatch(kind === "batch" ? whole : { jobs: [whole] }, batchJobs);
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    const prefix = kind === "job" ? "jobs[0]." : "";
    const at =
      prefix !== "" && error.field.startsWith(prefix) ? error.field.slice(prefix.length) : error.field;
    // It was put into a list to be checked, of which its sender knows nothing.
    const message =
      kind === "job" ? error.message.replaceAll(prefix, "").replaceAll("jobs[0]", "the job") : error.message;
    throw new SpecError(error.code, `${path}.${at}`, `${path}: ${message}`);
  }
}

/** The configuration in a body, checked as far as it can be. @throws SpecError, HttpError */
export function parseHooksConfig(value: unknown, { exempt, batchJobs }: Omit<Allowed, "hosts">): HooksConfig {
  const config = parseWith(HOOKS_CONFIG, value, "body");
  for (const [index, rule] of config.github.entries()) {
    const path = `github[${index}].${rule.job === undefined ? "batch" : "job"}`;
    const unknown = urlsIn(rule.job ?? rule.batch)
      .flatMap(namesIn)
      .find((name) => !(PLACEHOLDERS as readonly string[]).includes(name));
    if (unknown !== undefined)
      throw new SpecError(
        "unknown-field",
        path,
        `${path}: there is no {${unknown}}; known: ${PLACEHOLDERS.map((name) => `{${name}}`).join(", ")}.`,
      );
    const filled = replaceUrls(rule.job ?? rule.batch, (url) => ({ url: fillTemplate(url, ANY_VALUES) }));
    const allowed = { hosts: config.artifactHosts, exempt, batchJobs };
    checkRun(rule.job === undefined ? "batch" : "job", filled, allowed, path);
  }
  return config;
}
