import * as z from "zod";
import { CONFIG } from "../schema/config.ts";
import { coded, describe, fields, PATH, parseWith, type RawIssue } from "../schema/errors.ts";
import { BLOB_REFERENCE, SNAPSHOT_REFERENCE } from "../schema/references.ts";
import { SpecError } from "../spec-error.ts";
import {
  AXIS_VALUES,
  BATCH_JOBS,
  CONCURRENCY,
  EXPANDED_BYTES,
  EXPANDED_CHARACTERS,
  MATRIX_RULES,
  NAME_CHARACTERS,
} from "./limits.ts";
import { type Combination, expandMatrix, type Matrix, productOf } from "./matrix.ts";
import { mergeConfigs } from "./merge.ts";
import { combinationName, referenceName } from "./names.ts";

/** What a job starts from; not part of its config. */
const START = {
  kernel: BLOB_REFERENCE,
  initrd: BLOB_REFERENCE.nullable(),
  from: SNAPSHOT_REFERENCE,
} as const;
const START_NAMES = Object.keys(START);

const LATIN_1 = /^[\0-\u00ff]*$/;

type Fields = Readonly<Record<string, unknown>>;

/** The schema of a member's field by its name: what it starts from, and every field of a config. */
const VALUES: Readonly<Record<string, z.ZodType>> = { ...START, ...CONFIG.shape };

function listOf<Item extends z.ZodType>(item: Item, what: string, most: number) {
  return z
    .array(item, { error: ({ input }) => `${PATH} must be a list of ${what}, but it is ${describe(input)}.` })
    .max(most, {
      error: ({ input }) =>
        coded(
          "too-many",
          `${PATH} has ${(input as readonly unknown[]).length} ${what}; at most ${most} are allowed.`,
        ),
    });
}

const axis = (values: z.ZodType) =>
  listOf(values, "values", AXIS_VALUES)
    .min(1, {
      error: coded(
        "empty",
        `${PATH} is an empty list, so the matrix would be empty; name a value, or leave it out.`,
      ),
    })
    .optional();

const RULE = fields(
  Object.fromEntries(Object.entries(VALUES).map(([name, value]) => [name, value.optional()])),
);

const MATRIX = fields({
  ...Object.fromEntries(Object.entries(VALUES).map(([name, value]) => [name, axis(value)])),
  include: listOf(RULE, "combinations", MATRIX_RULES).optional().meta({
    description: "Values added to the combinations they do not contradict, or combinations of their own.",
  }),
  exclude: listOf(RULE, "combinations", MATRIX_RULES)
    .optional()
    .meta({ description: "Combinations that are left out: all that have these values." }),
});

const JOB = fields({
  kernel: START.kernel.optional(),
  initrd: START.initrd.optional(),
  from: START.from.optional(),
  // Checked with the common config under it.
  config: z.unknown().optional(),
});

const concurrencyError = ({ input }: RawIssue): string =>
  coded(
    "out-of-range",
    `${PATH} must be a whole number from ${CONCURRENCY.min} to ${CONCURRENCY.max}, but it is ${typeof input === "number" ? input : describe(input)}.`,
  );

/** A batch as users write it. */
export const BATCH = fields({
  name: z
    .string({ error: ({ input }) => `${PATH} must be a string, but it is ${describe(input)}.` })
    .max(NAME_CHARACTERS, {
      error: coded("too-long", `${PATH} is too long; shorten it to ${NAME_CHARACTERS} characters.`),
    })
    .optional()
    .meta({ description: "What the batch is called in lists, reports and its badge." }),
  kernel: START.kernel.optional().meta({ description: "The kernel of jobs that name none." }),
  initrd: START.initrd.optional().meta({ description: "The initrd of jobs that name none." }),
  from: START.from
    .optional()
    .meta({ description: "The snapshot of jobs that name neither kernel nor snapshot." }),
  config: CONFIG.optional().meta({
    description:
      "What all jobs share. A job's own fields go before these; expect, limits and labels are merged name by name.",
  }),
  matrix: MATRIX.optional().meta({
    description:
      "Lists of values by field; there is a job for each combination. include and exclude as in GitHub's workflows.",
  }),
  jobs: listOf(JOB, "jobs", BATCH_JOBS.most)
    .optional()
    .meta({ description: "The jobs one by one, instead of a matrix." }),
  maxConcurrent: z
    .int({ error: concurrencyError })
    .min(CONCURRENCY.min, { error: concurrencyError })
    .max(CONCURRENCY.max, { error: concurrencyError })
    .default(CONCURRENCY.default)
    .meta({ description: "Most jobs of this batch that run at the same time." }),
});

/** Only the names of the fields. */
const NAMES = fields(
  Object.fromEntries(Object.keys(BATCH.shape).map((name) => [name, z.unknown().optional()])),
);

/** What one job of a batch says for itself; what it leaves out is the batch's. */
export interface MemberSpec {
  readonly name: string;
  readonly kernel?: unknown;
  /** null for none, whatever the fixture brings. */
  readonly initrd?: unknown;
  readonly from?: unknown;
  readonly config: Fields;
}

/** A batch that was checked. Configs are as users wrote them: defaults come when a job is made, from its fixture too. */
export interface BatchSpec {
  readonly name: string | null;
  readonly maxConcurrent: number;
  /** What all members share. */
  readonly common: Omit<MemberSpec, "name">;
  readonly members: readonly MemberSpec[];
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Validates a batch and lists its members. Kernels are only looked at when a member starts: one that is bad is that member's
 * error. `most` is how many jobs a batch may have here.
 *
 * @throws SpecError naming the field, such as "matrix.memory[1]"
 */
export function parseBatch(value: unknown, most: number = BATCH_JOBS.default): BatchSpec {
  const { name, maxConcurrent } = parseFields(value);
  const given = value as Fields;
  const common = { ...startOf(given), config: isObject(given.config) ? given.config : {} };
  const members =
    given.jobs === undefined
      ? membersOfMatrix(given.matrix as Fields, common, most)
      : membersOfList(given.jobs as readonly Fields[], common, most);
  checkSize(members, given.jobs === undefined ? "matrix" : "jobs");
  return { name, maxConcurrent, common, members };
}

function checkSize(members: readonly MemberSpec[], field: string): void {
  let characters = 0;
  let bytes = 0;
  for (const member of members) {
    const text = JSON.stringify(member);
    characters += text.length;
    bytes += LATIN_1.test(text) ? text.length : 2 * text.length;
  }
  const what =
    characters > EXPANDED_CHARACTERS
      ? `${characters} characters long together; at most ${EXPANDED_CHARACTERS}`
      : bytes > EXPANDED_BYTES
        ? `${bytes} bytes long together, as characters beyond Latin-1 take two; at most ${EXPANDED_BYTES}`
        : undefined;
  if (what === undefined) return;
  const message = `The jobs of this batch are ${what} are allowed. Move what they share into config.`;
  throw new SpecError("too-large", field, message);
}

/** Checks all but what depends on a combination. What is stored is what was written, so little is handed on. */
function parseFields(value: unknown): Pick<BatchSpec, "name" | "maxConcurrent"> {
  // Each by itself, so that a path begins with the field's name.
  const given = parseWith(NAMES, value, "body");
  const parsed = Object.fromEntries(
    Object.entries(BATCH.shape).map(([name, schema]) => [name, parseWith(schema, given[name], name)]),
  );
  const { matrix, jobs } = given;
  if ((matrix === undefined) === (jobs === undefined)) {
    throw new SpecError(
      matrix === undefined ? "missing" : "excluded",
      "matrix",
      matrix === undefined
        ? 'A batch needs jobs: give "matrix", lists of values by field, or "jobs", a list.'
        : "matrix and jobs exclude each other; send two batches, or use matrix.include.",
    );
  }
  const { name, maxConcurrent } = parsed as Pick<z.output<typeof BATCH>, "name" | "maxConcurrent">;
  return { name: name ?? null, maxConcurrent };
}

function startOf(given: Fields): Omit<MemberSpec, "name" | "config"> {
  return Object.fromEntries(
    START_NAMES.filter((name) => given[name] !== undefined).map((name) => [name, given[name]]),
  );
}

function checkCount(count: number, most: number, field: string): void {
  if (count > most) {
    throw new SpecError(
      "too-many",
      field,
      `This batch has ${count} jobs; at most ${most} are allowed. Send several batches.`,
    );
  }
  if (count === 0) throw new SpecError("empty", field, `${field} comes to no job at all.`);
}

function checkStart(member: Omit<MemberSpec, "name">, common: Omit<MemberSpec, "name">, field: string): void {
  const own = member.kernel !== undefined || member.from !== undefined;
  const kernel = member.kernel ?? (own ? undefined : common.kernel);
  const from = member.from ?? (own ? undefined : common.from);
  if (kernel === undefined && from === undefined) {
    throw new SpecError(
      "missing",
      field,
      `${field} is missing: each job needs a kernel, or a snapshot (from) to start from.`,
    );
  }
  if (kernel !== undefined && from !== undefined) {
    throw new SpecError(
      "excluded",
      field,
      `${field} and from exclude each other: a guest that goes on from a snapshot has its kernel already.`,
    );
  }
}

/** A public batch shows all of its jobs to everybody, in its reports too. */
function checkVisibility(common: Fields, own: Fields, field: string): void {
  if (common.visibility !== "public" || own.visibility !== "private") return;
  throw new SpecError(
    "excluded",
    field,
    `${field} is "private", but config.visibility makes the batch public, which shows each of its jobs; leave one of them out, or send two batches.`,
  );
}

function membersOfList(
  jobs: readonly Fields[],
  common: Omit<MemberSpec, "name">,
  most: number,
): readonly MemberSpec[] {
  checkCount(jobs.length, most, "jobs");
  return jobs.map((job, index) => {
    const path = `jobs[${index}]`;
    const { config = {} } = job;
    const start = startOf(job);
    if (!isObject(config))
      throw new SpecError(
        "wrong-type",
        `${path}.config`,
        `${path}.config must be a JSON object, but it is ${describe(config)}.`,
      );
    parseWith(CONFIG, config, `${path}.config`);
    checkStart({ ...start, config }, common, `${path}.kernel`);
    checkVisibility(common.config, config, `${path}.config.visibility`);
    const labels = mergeConfigs(common.config, config).labels;
    const label = isObject(labels) && typeof labels.name === "string" ? labels.name : undefined;
    const name = label ?? referenceName(start.kernel ?? start.from ?? common.kernel ?? common.from);
    return { name, ...start, config };
  });
}

function membersOfMatrix(
  given: Fields,
  common: Omit<MemberSpec, "name">,
  most: number,
): readonly MemberSpec[] {
  const {
    include = [],
    exclude = [],
    ...axes
  } = given as Fields & {
    readonly include?: readonly Combination[];
    readonly exclude?: readonly Combination[];
  };
  const matrix = { axes: axes as Matrix["axes"], include, exclude };
  // Before it is multiplied out.
  if (productOf(matrix.axes) > 0) checkCount(productOf(matrix.axes), most, "matrix");
  const { combinations, idle } = expandMatrix(matrix);
  const [unused] = idle;
  if (unused !== undefined) {
    throw new SpecError(
      "excludes-nothing",
      `matrix.exclude[${unused}]`,
      `matrix.exclude[${unused}] excludes nothing: no combination has these values. Write them as the matrix does, or remove it.`,
    );
  }
  checkCount(combinations.length, most, "matrix");
  const telling = tellingNames(combinations);
  const labelled = isObject(common.config.labels) && common.config.labels.name !== undefined;
  return combinations.map((combination) => {
    const start = startOf(combination);
    const config = Object.fromEntries(
      Object.entries(combination).filter(([name]) => !START_NAMES.includes(name)),
    );
    checkStart({ ...start, config }, common, "matrix.kernel");
    checkVisibility(common.config, config, privateField(matrix));
    const own =
      isObject(config.labels) && typeof config.labels.name === "string" ? config.labels.name : undefined;
    const name = combinationName(
      { ...(start.kernel === undefined && start.from === undefined ? startOf(common) : {}), ...combination },
      telling,
    );
    // Runs with the same labels are compared with each other; these differ on purpose.
    const named =
      own !== undefined || labelled ? config : { ...config, labels: { ...(config.labels as Fields), name } };
    return { name: own ?? name, ...start, config: named };
  });
}

/** Where a matrix says that jobs are private. */
function privateField({ axes, include }: Matrix): string {
  const value = axes.visibility?.indexOf("private") ?? -1;
  if (value >= 0) return `matrix.visibility[${value}]`;
  return `matrix.include[${include.findIndex(({ visibility }) => visibility === "private")}].visibility`;
}

/** Names of the fields that not all combinations share. */
function tellingNames(combinations: readonly Combination[]): ReadonlySet<string> {
  const telling = new Set<string>();
  const [first = {}] = combinations;
  for (const combination of combinations) {
    for (const name of new Set([...Object.keys(first), ...Object.keys(combination)])) {
      if (!telling.has(name) && JSON.stringify(first[name]) !== JSON.stringify(combination[name]))
        telling.add(name);
    }
  }
  return telling;
}

/** The body of a POST /jobs for a member. */
export function requestOf(common: BatchSpec["common"], member: Omit<MemberSpec, "name">): Fields {
  const own = member.kernel !== undefined || member.from !== undefined;
  const start = own ? startOf({ ...member }) : { ...startOf({ ...common }), ...startOf({ ...member }) };
  const { initrd = common.initrd, ...rest } = start as Fields;
  return {
    ...rest,
    // A guest that goes on from a snapshot has its initrd already.
    ...(initrd === undefined || rest.from !== undefined ? {} : { initrd }),
    config: mergeConfigs(common.config, member.config),
  };
}
