import * as z from "zod";

/*
 * Pieces that descriptions of routes are made of. A route's author describes it in a file of this folder, which ../openapi.ts
 * puts together with the others.
 */

export type Json = Readonly<Record<string, unknown>>;

/** A schema as users of the API write it: before defaults and transformations. */
export function schemaOf(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: "draft-2020-12", io: "input" });
  return rest;
}

/** A schema of components.schemas. */
export const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
export const json = (schema: Json): Json => ({ "application/json": { schema } });
export const answer = (description: string, content?: Json): Json => ({
  description,
  ...(content !== undefined && { content }),
});
/** An answer with the body of every error. */
export const errorAnswer = (description: string): Json => answer(description, json(reference("Error")));
export const operation = (summary: string, fields: Json): Json => ({ summary, ...fields });
export const query = (name: string, description: string, schema: Json): Json => ({
  name,
  in: "query",
  description,
  schema,
});

/** An object of which no more is said. */
export const WIDE: Json = { type: "object", additionalProperties: true };

export const JOB_ID: Json = {
  name: "id",
  in: "path",
  required: true,
  description: "The job's id.",
  schema: { type: "string", pattern: "^[0-9a-f]{32}$" },
};

export const TOKEN_ERRORS: Json = {
  "401": errorAnswer("The token is missing or wrong."),
  "403": errorAnswer("The token may not do this: it lacks a scope, or this is another's."),
};
/** For what makes or stores something. */
export const QUOTA_ERRORS: Json = {
  "429": errorAnswer("A quota of the token is used up; Retry-After says when to try again."),
};
export const JOB_ERRORS: Json = { ...TOKEN_ERRORS, "404": errorAnswer("There is no such job.") };

type Operation = Json & { readonly responses: Json };

const METHODS_WITH_BODY: ReadonlySet<string> = new Set(["post", "put"]);

/** What an operation is about: the first word of its address. */
const tagOf = (path: string): string => path.split("/")[1]?.replace(/\..*/, "") ?? "";

/** All tags of these paths, in their order. */
export const tagsOf = (paths: Json): readonly Json[] =>
  [...new Set(Object.keys(paths).map(tagOf))].map((name) => ({ name }));

/** Paths whose operations all have a name and a tag, and say what is refused wherever it comes. */
export function completed(paths: Json): Json {
  const refused = { "400": errorAnswer("The query has a parameter that is not known here.") };
  const coded = { "415": errorAnswer("The body has a Content-Encoding.") };
  return mapValues(paths, (item, path) =>
    mapValues(item as Json, (part, method) => {
      if (method === "parameters") return part;
      const { responses, ...rest } = part as Operation;
      return {
        operationId: operationName(method, path, "201" in responses),
        tags: [tagOf(path)],
        ...rest,
        responses: { ...refused, ...(METHODS_WITH_BODY.has(method) && coded), ...responses },
      };
    }),
  );
}

/**
 * What generators of clients call an operation: "getJobConsole" for GET /jobs/{id}/console, "listJobs" for GET /jobs.
 *
 * @param creates it makes something that is not there before
 */
export function operationName(method: string, path: string, creates: boolean): string {
  const parts = path.split("/").slice(1);
  const nouns = parts.flatMap((part, index) => {
    if (part.startsWith("{")) return /\}\.(\w+)$/.exec(part)?.[1] ?? [];
    const isOne = parts[index + 1]?.startsWith("{") === true || (creates && index === parts.length - 1);
    return part
      .split(/[.-]/)
      .map((word, at, words) => (isOne && at === words.length - 1 ? oneOf(word) : word));
  });
  const last = parts.at(-1) ?? "";
  const verbs: Readonly<Record<string, string>> = {
    get: LISTS.has(last) ? "list" : "get",
    put: "put",
    delete: "delete",
    post: creates ? "create" : "post",
  };
  return [verbs[method] ?? method, ...nouns.map((noun) => noun.charAt(0).toUpperCase() + noun.slice(1))].join(
    "",
  );
}

/** What addresses that end with it are lists of. */
const LISTS: ReadonlySet<string> = new Set([
  "jobs",
  "batches",
  "snapshots",
  "deliveries",
  "fixtures",
  "tokens",
  "webhook-secrets",
]);

const oneOf = (many: string): string =>
  many
    .replace(/ies$/, "y")
    .replace(/(ch)es$/, "$1")
    .replace(/s$/, "");

function mapValues(object: Json, map: (value: unknown, name: string) => unknown): Json {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, map(value, name)]));
}
