import { describe, expect, test } from "vitest";
import { SpecError } from "../../jobs/spec-error.ts";
import { HttpError } from "../errors.ts";
import { isAllowedHost, replaceUrls, urlsIn } from "./artifacts.ts";
import { type HooksConfig, parseHooksConfig } from "./config.ts";
import { fits, readGithubEvent, runsOf } from "./github.ts";
import { fillTemplate } from "./template.ts";

/*
 * What GitHub's events mean, which rules they fit, and what configurations are refused. Payloads are cut from GitHub's documentation
 * ("Webhook events and payloads") to what is looked at.
 */

const SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
const ALLOWED = { exempt: new Set<string>(), batchJobs: 2 };
const repository = { id: 186853002, full_name: "Codertocat/Hello-World", private: false };

const PUSH = { ref: "refs/heads/feature/x", before: "0".repeat(40), after: SHA, deleted: false, repository };
const TAG = { ref: "refs/tags/v1.2", after: SHA, deleted: false, repository };
const DELETED = { ref: "refs/heads/old", after: "0".repeat(40), deleted: true, repository };
const RUN = {
  action: "completed",
  repository,
  workflow_run: { id: 30433642, name: "Build", head_branch: "main", head_sha: SHA, conclusion: "success" },
};
const RELEASE = {
  action: "published",
  repository,
  release: { tag_name: "v1.2", target_commitish: "main" },
};

const kernel = { url: "https://github.com/{repository}/releases/download/{tag}/bzImage" };
const config = (...github: object[]): HooksConfig =>
  parseHooksConfig({ artifactHosts: ["github.com", "files.example.org:8443"], github }, ALLOWED);

describe("events", () => {
  test("push, tag, workflow_run and release say what rules look at", () => {
    const values = (name: string, payload: unknown) => readGithubEvent(name, payload)?.values;
    expect(values("push", PUSH)).toEqual({ repository: repository.full_name, sha: SHA, branch: "feature/x" });
    expect(values("push", TAG)).toEqual({ repository: repository.full_name, sha: SHA, tag: "v1.2" });
    expect(readGithubEvent("workflow_run", RUN)).toMatchObject({
      workflow: "Build",
      conclusion: "success",
      values: { sha: SHA, branch: "main", run_id: "30433642" },
    });
    expect(values("release", RELEASE)).toEqual({
      repository: repository.full_name,
      tag: "v1.2",
      branch: "main",
    });
  });

  test("others, branches that are gone, and payloads of any shape say nothing", () => {
    for (const [name, payload] of [
      ["push", DELETED],
      ["ping", { zen: "Speak like a human." }],
      ["issues", RUN],
      ["push", null],
      ["push", []],
    ] as const)
      expect(readGithubEvent(name, payload)).toBeUndefined();
    for (const payload of [
      {},
      { workflow_run: 5 },
      { release: null, repository: "x" },
      { ref: 5, after: [] },
    ])
      for (const name of ["push", "workflow_run", "release"])
        expect(readGithubEvent(name, payload)?.values).toEqual({});
  });
});

test("a pattern: * is any characters, the rest itself", () => {
  for (const [pattern, text] of [
    ["main", "main"],
    ["*", ""],
    ["v*", "v1.2"],
    ["me/*", "me/kernel"],
    ["*/kernel", "me/kernel"],
    ["a*b*c", "a-b-b-c"],
    ["a*a", "aa"],
  ] as const)
    expect([pattern, text, fits(pattern, text)]).toEqual([pattern, text, true]);
  for (const [pattern, text] of [
    ["main", "mainline"],
    ["v*", "w1"],
    ["a*a", "a"],
    ["a*b*c", "acb"],
    ["v1.2", "v1x2"],
    ["", "x"],
  ] as const)
    expect([pattern, text, fits(pattern, text)]).toEqual([pattern, text, false]);
  const hostile = `${"*a".repeat(90)}`;
  expect(fits(hostile, "b".repeat(100_000))).toBe(false);
});

describe("rules", () => {
  const job = { kernel: { fixture: "hello" } };
  const started = (rule: object, name: string, payload: unknown) => {
    const event = readGithubEvent(name, payload);
    return event === undefined ? 0 : runsOf(config(rule), event).length;
  };

  test("each condition counts, and what an event does not say fits none", () => {
    expect(started({ on: { event: "push" }, job }, "push", PUSH)).toBe(1);
    expect(started({ on: { event: "push", branch: "feature/*" }, job }, "push", PUSH)).toBe(1);
    expect(started({ on: { event: "push", branch: "main" }, job }, "push", PUSH)).toBe(0);
    expect(started({ on: { event: "push", branch: "*" }, job }, "push", TAG)).toBe(0);
    expect(started({ on: { event: "push", tag: "v*" }, job }, "push", TAG)).toBe(1);
    expect(started({ on: { event: "push", repository: "me/*" }, job }, "push", PUSH)).toBe(0);
    expect(started({ on: { event: "release" }, job }, "push", PUSH)).toBe(0);
    const build = { event: "workflow_run", workflow: "Build", conclusion: "success" };
    expect(started({ on: build, job }, "workflow_run", RUN)).toBe(1);
    expect(started({ on: { ...build, conclusion: "failure" }, job }, "workflow_run", RUN)).toBe(0);
    expect(started({ on: build, job }, "workflow_run", { ...RUN, action: "requested" })).toBe(0);
    expect(
      started({ on: { ...build, action: "requested" }, job }, "workflow_run", {
        ...RUN,
        action: "requested",
      }),
    ).toBe(1);
    expect(started({ on: { event: "release" }, job }, "release", { ...RELEASE, action: "edited" })).toBe(0);
  });

  test("what is run has its addresses filled in, and labels that name the commit", () => {
    const event = readGithubEvent("release", RELEASE);
    const [run] = runsOf(config({ on: { event: "release" }, job: { kernel } }), event!);
    expect(run).toMatchObject({ kind: "job", token: "root", rule: "github[0]" });
    expect(run?.request).toEqual({
      kernel: { url: "https://github.com/Codertocat/Hello-World/releases/download/v1.2/bzImage" },
      config: { labels: { git_repository: "Codertocat/Hello-World", git_repository_branch: "main" } },
    });
    const own = { ...job, config: { memory: 64, labels: { name: "x", git_repository: "a/b" } } };
    const [labelled] = runsOf(config({ on: { event: "push" }, job: own }), readGithubEvent("push", PUSH)!);
    expect(labelled?.request.config).toEqual({
      memory: 64,
      labels: { name: "x", git_repository: "a/b", git_commit_hash: SHA, git_repository_branch: "feature/x" },
    });
    expect(() =>
      runsOf(config({ on: { event: "push" }, job: { kernel } }), readGithubEvent("push", PUSH)!),
    ).toThrow(/\{tag\}/);
  });
});

test("a value stays within its segment of the path", () => {
  expect(fillTemplate("https://x/{branch}/y", { branch: "a/b?c#d%" })).toBe("https://x/a%2Fb%3Fc%23d%25/y");
  for (const values of [{ repository: "../../x" }, { repository: "a//b" }, { repository: "a/.." }])
    expect(() => fillTemplate("https://x/{repository}", values)).toThrow(HttpError);
  expect(() => fillTemplate("https://x/{tag}", { tag: ".." })).toThrow(HttpError);
});

test("addresses are looked for where files are named, and only there", () => {
  const url = "https://github.com/x";
  const batch = {
    kernel: { url },
    jobs: [
      { kernel: { url: `${url}1` } },
      { initrd: { url: `${url}2` }, config: { notify: [{ url: `${url}3` }] } },
    ],
    matrix: { kernel: [{ url: `${url}4` }, { fixture: "hello" }] },
    config: { kernel: { url: `${url}5` } },
  };
  expect(urlsIn(batch)).toEqual([url, `${url}1`, `${url}2`, `${url}4`]);
  const replaced = replaceUrls(batch, () => ({ sha256: "x" }));
  expect(replaced).toMatchObject({
    jobs: [{}, { config: { notify: [{ url: `${url}3` }] } }],
    config: batch.config,
  });
  expect(isAllowedHost(new URL("https://GitHub.com/x"), ["github.com"])).toBe(true);
  for (const other of [
    "https://github.com.example.org/",
    "https://github.com:8443/",
    "https://api.github.com/",
    "https://example.org/github.com",
  ])
    expect(isAllowedHost(new URL(other), ["github.com"]), other).toBe(false);
});

test("a configuration that is wrong is refused, with the field", () => {
  const on = { event: "push" };
  const job = { kernel: { fixture: "hello" } };
  const wrong: readonly (readonly [object, string])[] = [
    [{ github: [{ on: { event: "pull_request" }, job }] }, "body.github[0].on.event"],
    [{ github: [{ on, job, batch: {} }] }, "body.github[0]"],
    [{ github: [{ on }] }, "body.github[0]"],
    [{ github: [{ on: { ...on, brnch: "x" }, job }] }, "body.github[0].on.brnch"],
    [
      { github: [{ on, job: { kernel: { fixture: "hello" }, config: { memory: 1 } } }] },
      "github[0].job.config.memory",
    ],
    [{ github: [{ on, batch: { kernel: { fixture: "hello" } } }] }, "github[0].batch.matrix"],
    [{ github: [{ on, job: { kernel } }] }, "github[0].job"],
    [
      { artifactHosts: ["127.0.0.1"], github: [{ on, job: { kernel: { url: "https://127.0.0.1/x" } } }] },
      "github[0].job",
    ],
    [
      { artifactHosts: ["x.org"], github: [{ on, job: { kernel: { url: "http://x.org/x" } } }] },
      "github[0].job",
    ],
    [
      { artifactHosts: ["x.org"], github: [{ on, job: { kernel: { url: "https://x.org/{user}" } } }] },
      "github[0].job",
    ],
    [
      { artifactHosts: ["x.org"], github: [{ on, job: { kernel: { url: "https://{tag}.x.org/" } } }] },
      "github[0].job",
    ],
    [{ artifactHosts: ["https://x.org"] }, "body.artifactHosts[0]"],
    [{ github: [{ on, job, token: "secret" }] }, "body.github[0].token"],
    // As many as this deployment lets a batch have.
    [{ github: [{ on, batch: { ...job, jobs: Array(3).fill({}) } }] }, "github[0].batch.jobs"],
  ];
  for (const [value, field] of wrong) {
    let error: unknown;
    try {
      parseHooksConfig(value, ALLOWED);
    } catch (thrown) {
      error = thrown;
    }
    expect(error instanceof SpecError || error instanceof HttpError, JSON.stringify(value)).toBe(true);
    expect((error as { field: string }).field).toBe(field);
  }
});

test("who sends one job is not told of a list of jobs", () => {
  const rule = { name: "x", on: { event: "push" }, job: { kernal: { fixture: "hello" } } };
  expect(() => config(rule)).toThrow(
    /^github\[0\]\.job: the job has no field "kernal"; did you mean "kernel"/,
  );
  const wrong = { name: "x", on: { event: "push" }, job: { kernel: { fixture: "hello" }, config: 5 } };
  expect(() => config(wrong)).toThrow(/^github\[0\]\.job: config must be/);
});
