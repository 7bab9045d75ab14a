/** Some of an object's fields. */
export function pick<T extends object, const Name extends keyof T>(
  object: T,
  names: readonly Name[],
): Pick<T, Name> {
  return Object.fromEntries(names.map((name) => [name, object[name]])) as unknown as Pick<T, Name>;
}
