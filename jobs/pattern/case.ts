/* What is the same letter when case is ignored: what JavaScript says without the flag u (ECMA-262, Canonicalize). */

/** Code units that are the same letter, for each that has others. */
let groups: ReadonlyMap<number, readonly number[]> | undefined;

/** All code units that `code` is the same letter as, itself among them. */
export function caseVariants(code: number): readonly number[] {
  groups ??= caseGroups();
  return groups.get(code) ?? [code];
}

function caseGroups(): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let code = 0; code <= 0xffff; code++) {
    const upper = canonical(code);
    if (upper === code) continue;
    const group = found.get(upper) ?? [upper];
    group.push(code);
    found.set(upper, group);
    found.set(code, group);
  }
  return found;
}

/** What letters that only differ in case have in common. */
function canonical(code: number): number {
  const upper = String.fromCharCode(code).toUpperCase();
  if (upper.length !== 1) return code;
  const folded = upper.charCodeAt(0);
  return code >= 0x80 && folded < 0x80 ? code : folded;
}
