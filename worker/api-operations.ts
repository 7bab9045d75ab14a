import { API_VERSION, openApi } from "../jobs/openapi.ts";

/*
 * What the OpenAPI document says about an address: it is what clients are made from, so what it does not name is a mistake of theirs.
 */

interface Parameter {
  readonly name: string;
  readonly in: string;
}
interface Described {
  readonly parameters?: readonly Parameter[];
}

/** An address of the API: the names of the parameters its query may have, by method. */
export type Operations = ReadonlyMap<string, readonly string[]>;

const NAME = /\{\w+\}/;

/** A template of OpenAPI as an expression; of a parameter with something behind it, all before that is it. */
function expressionOf(template: string): RegExp {
  const parts = template.split("/").map((part) => {
    const [before = "", ...behind] = part.split(NAME).map((text) => text.replace(/[.*]/g, "\\$&"));
    if (behind.length === 0) return before;
    return `${before}${behind.join("") === "" ? "[^/]+" : ".+"}${behind.join("")}`;
  });
  return new RegExp(`^${parts.join("/")}$`);
}

function operationsOf(item: Readonly<Record<string, unknown>>): Operations {
  const methods = Object.entries(item).filter(([name]) => name !== "parameters");
  return new Map(
    methods.map(([method, described]) => {
      const { parameters = [] } = described as Described;
      const names = parameters.filter((one) => one.in === "query").map(({ name }) => name);
      return [method.toUpperCase(), names];
    }),
  );
}

let addresses: readonly (readonly [RegExp, Operations])[] | undefined;

/** What may be done at an address (a URL's path); undefined if the document does not know it. */
export function operationsAt(path: string): Operations | undefined {
  // Addresses without parameters go before those with.
  addresses ??= Object.entries(
    openApi(API_VERSION).paths as Readonly<Record<string, Record<string, unknown>>>,
  )
    .sort(([a], [b]) => Number(NAME.test(a)) - Number(NAME.test(b)))
    .map(([template, item]) => [expressionOf(template), operationsOf(item)] as const);
  return addresses.find(([expression]) => expression.test(path))?.[1];
}
