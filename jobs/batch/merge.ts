type Fields = Readonly<Record<string, unknown>>;

/** Fields of a config that are merged name by name; all others replace as a whole. */
const MERGED = ["expect", "limits", "labels"] as const;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A config on top of a common one, both as users write them. */
export function mergeConfigs(common: Fields, own: Fields): Fields {
  const merged: Record<string, unknown> = { ...common, ...own };
  for (const name of MERGED) {
    const under = common[name];
    const over = own[name];
    if (isObject(under) && isObject(over)) merged[name] = { ...under, ...over };
  }
  return merged;
}
