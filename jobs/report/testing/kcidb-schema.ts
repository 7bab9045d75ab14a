/**
 * JSON schema of KCIDB submissions, version 5.3, for the tests of what we write: the fields, types, patterns and required
 * fields that KernelCI publishes (kernelci/kcidb-io, kcidb_io/schema/v05_03.py and the versions it builds on), in our own
 * notation. As there, no object but "misc" may have fields that are not listed.
 */
type Schema = Readonly<Record<string, unknown>>;

const TEXT: Schema = { type: "string", pattern: "^[^\\0]*$" };
const URI: Schema = { type: "string", format: "uri" };
const TIME: Schema = { type: "string", format: "date-time" };
const NUMBER: Schema = { type: "number" };
const FLAG: Schema = { type: "boolean" };
const ANY: Schema = { type: "object" };
const ORIGIN: Schema = { type: "string", pattern: "^[a-z0-9_]+$" };
const ID: Schema = { type: "string", pattern: "^[a-z0-9_]+:.*$" };
const PATH: Schema = { type: "string", pattern: "^([a-zA-Z0-9_-]+(\\.[a-zA-Z0-9_-]+)*)?$" };
const EXCERPT: Schema = { type: "string", maxLength: 16_384, pattern: "^[^\\0]*$" };
const STATUS: Schema = { enum: ["FAIL", "ERROR", "MISS", "PASS", "DONE", "SKIP"] };
const VERSION: Schema = { type: "integer", minimum: 0 };

const list = (items: Schema): Schema => ({ type: "array", items });
const object = (properties: Readonly<Record<string, Schema>>, required: readonly string[]): Schema => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});

const RESOURCES = list(
  object({ name: { type: "string", pattern: "^[^/\\0]+$" }, url: URI }, ["name", "url"]),
);

/** What every object has. */
const COMMON = { _timestamp: TIME, id: ID, origin: ORIGIN, comment: TEXT, misc: ANY };
const LOG = { log_url: URI, log_excerpt: EXCERPT };
/** Of a build or a test. */
const RUN = {
  start_time: TIME,
  duration: NUMBER,
  input_files: RESOURCES,
  output_files: RESOURCES,
  status: STATUS,
  ...LOG,
};

const CHECKOUT = object(
  {
    ...COMMON,
    ...LOG,
    tree_name: TEXT,
    git_repository_url: { ...URI, pattern: "^https://.+$" },
    git_commit_hash: { type: "string", pattern: "^[0-9a-f]{40}$" },
    git_commit_name: TEXT,
    git_commit_tags: list(TEXT),
    git_commit_message: TEXT,
    git_repository_branch: TEXT,
    git_repository_branch_tip: FLAG,
    patchset_files: RESOURCES,
    patchset_hash: { type: "string", pattern: "^$|^[0-9a-f]{64}$" },
    message_id: { type: "string", format: "email" },
    start_time: TIME,
    origin_builds_finish_time: TIME,
    origin_tests_finish_time: TIME,
    valid: FLAG,
  },
  ["id", "origin"],
);

const BUILD = object(
  {
    ...COMMON,
    ...RUN,
    checkout_id: ID,
    architecture: { type: "string", pattern: "^[a-z0-9_]*$" },
    command: TEXT,
    compiler: TEXT,
    config_name: TEXT,
    config_url: URI,
  },
  ["checkout_id", "id", "origin"],
);

const TEST = object(
  {
    ...COMMON,
    ...RUN,
    build_id: ID,
    environment: object(
      { compatible: list({ type: "string", pattern: "^[^ \\0]+(,[^ \\0]+)*$" }), comment: TEXT, misc: ANY },
      [],
    ),
    path: PATH,
    number: object({ value: NUMBER, unit: TEXT, prefix: { enum: ["metric", "binary"] } }, ["value"]),
  },
  ["build_id", "id", "origin"],
);

const ISSUE = object(
  {
    ...COMMON,
    version: VERSION,
    categories: list(PATH),
    report_url: URI,
    report_subject: TEXT,
    culprit: object({ code: FLAG, tool: FLAG, harness: FLAG }, []),
  },
  ["id", "version", "origin"],
);

const INCIDENT = object(
  {
    ...COMMON,
    issue_id: ID,
    issue_version: VERSION,
    build_id: ID,
    test_id: ID,
    present: FLAG,
  },
  ["id", "origin", "issue_id", "issue_version"],
);

export const KCIDB_SCHEMA = object(
  {
    version: object({ major: { const: 5 }, minor: { type: "integer", minimum: 0, maximum: 3 } }, ["major"]),
    checkouts: list(CHECKOUT),
    builds: list(BUILD),
    tests: list(TEST),
    issues: list(ISSUE),
    incidents: list(INCIDENT),
  },
  ["version"],
);
