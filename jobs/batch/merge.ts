type Fields = Readonly<Record<string, unknown>>;

/** Fields of a config that are merged name by name; all others replace as a whole. */
const MERGED = ["expect", "limits", "labels", "retention"] as const;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A config on top of a common one, both as users write them. */
export function mergeConfigs(common: Fields, own: Fields): Fields {
  const under = withoutGuest(common);
  const over = withoutGuest(own);
  const merged: Record<string, unknown> = { ...under, ...over };
  for (const name of MERGED) {
    const below = under[name];
    const above = over[name];
    if (isObject(below) && isObject(above)) merged[name] = { ...below, ...above };
  }
  // Two ways to write the same thing: the job's own counts.
  if (isObject(own.expect) && own.expect.steps !== undefined && own.input === undefined) delete merged.input;
  if (
    own.input !== undefined &&
    isObject(merged.expect) &&
    !(isObject(own.expect) && "steps" in own.expect)
  ) {
    const { steps: _, ...expect } = merged.expect;
    merged.expect = expect;
  }
  return merged;
}

/** `{"guest": {"memory": 256}}` is `{"memory": 256}`; one that says both is left to be refused. */
function withoutGuest(config: Fields): Fields {
  const { guest, ...rest } = config;
  if (!isObject(guest) || Object.keys(guest).some((name) => rest[name] !== undefined)) return config;
  return { ...rest, ...guest };
}
