import type { Context } from "hono";
import type { Position } from "../database/page.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";

/* Parameters of lists that are given page by page. */

type AppContext = Context<AppEnv>;

/** `?limit=`: `usual` without it, at most `most`. @throws HttpError 400 */
export function limitOf(context: AppContext, usual: number, most: number): number {
  const text = context.req.query("limit") ?? String(usual);
  const limit = Number(text);
  if (/^\d{1,6}$/.test(text) && limit >= 1 && limit <= most) return limit;
  throw new HttpError(400, "bad-limit", `limit must be a whole number from 1 to ${most}.`, {
    field: "limit",
  });
}

/** One of a few words in the query; undefined if it is not there. @throws HttpError 400 */
export function wordOf(context: AppContext, name: string, known: readonly string[]): string | undefined {
  const word = context.req.query(name);
  if (word === undefined || known.includes(word)) return word;
  throw new HttpError(400, `bad-${name}`, `${name} must be one of ${known.join(", ")}.`, { field: name });
}

export const badCursor = (): HttpError =>
  new HttpError(400, "bad-cursor", 'cursor must be the "next" of an earlier answer to the same question.', {
    field: "cursor",
  });

/** `?cursor=`, as `nextOf` makes it; undefined for the first page. @throws HttpError 400 */
export function positionOf(context: AppContext, isId: (text: string) => boolean): Position | undefined {
  const cursor = context.req.query("cursor");
  if (cursor === undefined) return undefined;
  const [, createdAt, id] = /^(\d{1,15})-(.{1,60})$/.exec(cursor) ?? [];
  if (createdAt === undefined || id === undefined || !isId(id)) throw badCursor();
  return { createdAt: Number(createdAt), id };
}

/** The `next` of an answer: null on the last page. */
export function nextOf(
  items: readonly { readonly createdAt: string; readonly id: string }[],
  limit: number,
): string | null {
  const last = items.at(-1);
  return last === undefined || items.length < limit ? null : `${Date.parse(last.createdAt)}-${last.id}`;
}
