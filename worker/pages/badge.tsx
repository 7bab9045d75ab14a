/** Signs beside the words: colour alone says nothing to many. */
const SIGNS: Readonly<Record<string, string>> = {
  pass: "✓",
  skip: "–",
  canceled: "–",
  timeout: "◷",
  "no-output": "∅",
  fail: "✗",
  crash: "✗",
  error: "!",
  queued: "…",
  building: "…",
  running: "▶",
};

/** A verdict, or the state of a job that has none yet. */
export function Verdict({ verdict, state }: { readonly verdict: string | null; readonly state: string }) {
  const word = verdict ?? state;
  const known = Object.hasOwn(SIGNS, word);
  return (
    <span class={`verdict v-${known ? word : "other"}`}>
      <span aria-hidden="true">{known ? SIGNS[word] : "?"}</span> {word}
    </span>
  );
}

export const isKnownVerdict = (word: string): boolean => Object.hasOwn(SIGNS, word);
