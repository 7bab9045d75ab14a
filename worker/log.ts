/**
 * One JSON line an event, for Workers Logs and whatever reads `wrangler tail`. Fields are ids, counts, codes and messages of our
 * own; nothing that a secret could be in (headers, bodies, tokens, a guest's console).
 */
export function logEvent(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
  console.log(JSON.stringify({ event, at: new Date().toISOString(), ...fields }));
}
