import { canonical } from "./canonical.ts";

/** Values by the name of their axis. */
export type Combination = Readonly<Record<string, unknown>>;

/** A matrix as GitHub's workflows have it. */
export interface Matrix {
  readonly axes: Readonly<Record<string, readonly unknown[]>>;
  readonly include: readonly Combination[];
  readonly exclude: readonly Combination[];
}

/** How many combinations the axes have before anything is excluded; 0 without axes. */
export function productOf(axes: Matrix["axes"]): number {
  const lengths = Object.values(axes).map((values) => values.length);
  return lengths.length === 0 ? 0 : lengths.reduce((product, length) => product * length, 1);
}

/** A combination, and what is compared of it: values as text. */
interface Keyed {
  readonly values: Record<string, unknown>;
  /** The values that come from axes; `include` may not replace them. */
  readonly original: ReadonlyMap<string, string>;
}

/** What came of a matrix. */
export interface Expansion {
  readonly combinations: readonly Combination[];
  /** Entries of `exclude` that no combination matches, by their index. */
  readonly idle: readonly number[];
}

/**
 * The combinations of a matrix, after "Running variations of jobs in a workflow" of GitHub's documentation: first the product
 * of the axes (the last one runs fastest), then those are dropped that have all values of an entry of `exclude`, then each
 * entry of `include` is added to every combination whose axes' values it does not contradict, or else is a combination of its
 * own. What an entry added, a later one may replace. An entry that names no axis at all is added to every combination.
 */
export function expandMatrix({ axes, include, exclude }: Matrix): Expansion {
  const idle = new Set(exclude.keys());
  const rules = exclude.map(keysOf);
  const kept = product(axes).filter(({ original }) => {
    let excluded = false;
    for (const [index, rule] of rules.entries()) {
      if (!matches(original, rule)) continue;
      idle.delete(index);
      excluded = true;
    }
    return !excluded;
  });
  const added: Combination[] = [];
  for (const entry of include) {
    const keys = keysOf(entry);
    let found = false;
    for (const { values, original } of kept) {
      if (contradicts(original, keys)) continue;
      Object.assign(values, entry);
      found = true;
    }
    if (!found) added.push(entry);
  }
  return { combinations: [...kept.map(({ values }) => values), ...added], idle: [...idle] };
}

function product(axes: Matrix["axes"]): Keyed[] {
  const names = Object.keys(axes);
  if (names.length === 0) return [];
  let combinations: { values: Record<string, unknown>; original: Map<string, string> }[] = [
    { values: {}, original: new Map() },
  ];
  for (const [name, values] of Object.entries(axes)) {
    const keyed = values.map((value) => ({ value, key: canonical(value) }));
    combinations = combinations.flatMap((before) =>
      keyed.map(({ value, key }) => ({
        values: { ...before.values, [name]: value },
        original: new Map(before.original).set(name, key),
      })),
    );
  }
  return combinations;
}

function keysOf(combination: Combination): ReadonlyMap<string, string> {
  return new Map(Object.entries(combination).map(([name, value]) => [name, canonical(value)]));
}

function matches(original: ReadonlyMap<string, string>, rule: ReadonlyMap<string, string>): boolean {
  for (const [name, key] of rule) if (original.get(name) !== key) return false;
  return rule.size > 0;
}

function contradicts(original: ReadonlyMap<string, string>, keys: ReadonlyMap<string, string>): boolean {
  for (const [name, key] of keys) {
    const value = original.get(name);
    if (value !== undefined && value !== key) return true;
  }
  return false;
}
