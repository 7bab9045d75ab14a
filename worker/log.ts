/*
 * One JSON line an event, for Workers Logs and whatever reads `wrangler tail`. Fields are ids, counts, codes and messages of our
 * own; nothing that a secret could be in (headers, bodies, queries, tokens, a guest's console).
 */

let isEverything = false;

/**
 * The setting LOG: "all" for every request and what goes well besides; else only what goes wrong. To be called by whatever the
 * platform begins with in an isolate; the setting is the same in all of it.
 */
export function setLog({ LOG }: { readonly LOG?: string }): void {
  isEverything ||= LOG === "all";
}

type Fields = Readonly<Record<string, unknown>>;

/** Something went wrong, or may have. */
export function logEvent(event: string, fields: Fields = {}): void {
  console.log(JSON.stringify({ event, at: new Date().toISOString(), ...fields }));
}

/** Something went as it should. */
export function logInfo(event: string, fields: Fields = {}): void {
  if (isEverything) logEvent(event, fields);
}
