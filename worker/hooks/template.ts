import { HttpError } from "../errors.ts";

/** What a rule's addresses may have in braces. */
export const PLACEHOLDERS = ["repository", "sha", "branch", "tag", "run_id"] as const;
export type Placeholder = (typeof PLACEHOLDERS)[number];
/** What is known of them; GitHub does not say all with each event. */
export type Values = Readonly<Partial<Record<Placeholder, string>>>;

const IN_BRACES = /\{([^{}]*)\}/g;

/** The names in braces. */
export const namesIn = (template: string): string[] =>
  [...template.matchAll(IN_BRACES)].map(([, name = ""]) => name);

/**
 * The address that a template stands for. A value is one segment of a path, a repository two.
 *
 * @throws HttpError 422 if the event does not say a value, or one would be more than a segment
 */
export function fillTemplate(template: string, values: Values): string {
  return template.replace(IN_BRACES, (_, name: string) => {
    const value = (values as Readonly<Record<string, string | undefined>>)[name];
    if (value === undefined || value === "")
      throw new HttpError(422, "no-value", `The event says nothing of {${name}}, which "${template}" needs.`);
    const segments = name === "repository" ? value.split("/") : [value];
    if (segments.some((segment) => segment === "" || /^\.+$/.test(segment)))
      throw new HttpError(422, "bad-value", `{${name}} is "${value}", which cannot be part of an address.`);
    return segments.map(encodeURIComponent).join("/");
  });
}
