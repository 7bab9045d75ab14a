import { z } from "zod";

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

/** Paths whose operations all say that a query with unknown parameters is refused. */
export function refusingUnknownParameters(paths: Json): Json {
  const refused = { "400": errorAnswer("The query has a parameter that is not known here.") };
  return mapValues(paths, (item) =>
    mapValues(item as Json, (part, name) => {
      if (name === "parameters") return part;
      const { responses, ...rest } = part as Operation;
      return { ...rest, responses: { ...refused, ...responses } };
    }),
  );
}

function mapValues(object: Json, map: (value: unknown, name: string) => unknown): Json {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, map(value, name)]));
}
