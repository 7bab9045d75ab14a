import { PATTERNS_PROGRAM } from "../limits.ts";
import { Pattern } from "../pattern/match.ts";
import { SpecError } from "../spec-error.ts";

/**
 * Refuses patterns that are too large together, though each alone is not: a line may be held against all of them.
 *
 * @param fields patterns by the path of their field
 * @throws SpecError that names the field with the most
 */
export function refuseLargeTotal(fields: Readonly<Record<string, readonly string[]>>): void {
  const sizes = Object.entries(fields).map(([field, sources]) => {
    const size = sources.reduce((sum, source) => sum + new Pattern(source).size, 0);
    return { field, size };
  });
  const total = sizes.reduce((sum, { size }) => sum + size, 0);
  if (total <= PATTERNS_PROGRAM) return;
  const { field, size } = sizes.reduce((most, each) => (each.size > most.size ? each : most));
  throw new SpecError(
    "too-large",
    field,
    `${field} has patterns of size ${size}, all of the job's have ${total}, and at most ${PATTERNS_PROGRAM} are allowed: ` +
      "leave some out, or repeat less in them ({n} counts n times).",
  );
}
