import type { Child } from "hono/jsx";

/** A JSON schema, as the OpenAPI document has them. */
export type Schema = Readonly<Record<string, unknown>>;

const REFERENCE = "#/components/schemas/";
/** Fields inside fields are shown so deep. */
const DEPTH = 4;

export const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Where a schema of components.schemas is on the page. */
export const anchorOf = (name: string): string => `schema-${name}`;

function separated(parts: readonly Child[], by: string): Child {
  return parts.flatMap((part, index) => (index === 0 ? [part] : [by, part]));
}

function alternativesOf({ oneOf, anyOf }: Schema): readonly Schema[] | undefined {
  const list = oneOf ?? anyOf;
  return Array.isArray(list) ? list.filter(isSchema) : undefined;
}

function boundsOf(schema: Schema): string {
  const { minimum, maximum, maxLength, maxItems, pattern } = schema;
  const bounds: string[] = [];
  // What JSON schemas bound whole numbers by when nothing else does says nothing.
  const shown = [minimum, maximum].map((bound) =>
    typeof bound === "number" && Math.abs(bound) < Number.MAX_SAFE_INTEGER ? bound : undefined,
  );
  if (shown[0] !== undefined && shown[1] !== undefined) bounds.push(`${shown[0]} to ${shown[1]}`);
  else if (shown[0] !== undefined) bounds.push(`at least ${shown[0]}`);
  else if (shown[1] !== undefined) bounds.push(`at most ${shown[1]}`);
  if (maxLength !== undefined) bounds.push(`at most ${String(maxLength)} characters`);
  if (maxItems !== undefined) bounds.push(`at most ${String(maxItems)}`);
  if (typeof pattern === "string") bounds.push(pattern);
  return bounds.length === 0 ? "" : ` (${bounds.join("; ")})`;
}

/** What a value may be, in a few words. */
export function Type({ schema }: { readonly schema: Schema }): Child {
  if (typeof schema.$ref === "string") {
    const name = schema.$ref.replace(REFERENCE, "");
    return <a href={`#${anchorOf(name)}`}>{name}</a>;
  }
  if ("const" in schema) return <code>{JSON.stringify(schema.const)}</code>;
  if (Array.isArray(schema.enum)) {
    return (
      <>
        {separated(
          schema.enum.map((value) => <code>{JSON.stringify(value)}</code>),
          ", ",
        )}
      </>
    );
  }
  const alternatives = alternativesOf(schema);
  if (alternatives !== undefined) {
    return (
      <>
        {separated(
          alternatives.map((one) => <Type schema={one} />),
          " or ",
        )}
      </>
    );
  }
  if (schema.type === "array") {
    return (
      <>
        list of <Type schema={isSchema(schema.items) ? schema.items : {}} />
        {boundsOf(schema)}
      </>
    );
  }
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type;
  return (
    <>
      {typeof type === "string" ? type : "anything"}
      {boundsOf(schema)}
    </>
  );
}

interface Row {
  readonly name: string;
  readonly schema: Schema;
  readonly required: boolean;
}

/** The fields of an object, and of the objects in it. */
function rowsOf(schema: Schema, prefix: string, depth: number): Row[] {
  const objects = [schema, ...(alternativesOf(schema) ?? [])];
  const rows = objects.flatMap((object) => {
    const required = Array.isArray(object.required) ? object.required : [];
    const properties = isSchema(object.properties) ? Object.entries(object.properties) : [];
    return properties.flatMap(([name, property]): Row[] => {
      if (!isSchema(property)) return [];
      const path = `${prefix}${name}`;
      const row = { name: path, schema: property, required: required.includes(name) };
      if (depth === 0) return [row];
      const items = isSchema(property.items) ? property.items : undefined;
      const inner = [
        ...rowsOf(property, `${path}.`, depth - 1),
        ...(items === undefined ? [] : rowsOf(items, `${path}[].`, depth - 1)),
      ];
      return [row, ...inner];
    });
  });
  return [...new Map(rows.map((row) => [row.name, row])).values()];
}

/** The fields of a schema as a table; its type alone if it has none. */
export function Fields({ schema }: { readonly schema: Schema }): Child {
  const rows = rowsOf(schema, "", DEPTH);
  if (rows.length === 0) {
    return (
      <p>
        <Type schema={schema} />
      </p>
    );
  }
  return (
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Type</th>
            <th scope="col">Default</th>
            <th scope="col">Meaning</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, schema: field, required }) => (
            <tr>
              <th scope="row">
                <code>{name}</code>
              </th>
              <td>
                <Type schema={field} />
              </td>
              <td>
                {"default" in field ? (
                  <code>{JSON.stringify(field.default)}</code>
                ) : required ? (
                  "required"
                ) : (
                  ""
                )}
              </td>
              <td>{typeof field.description === "string" ? field.description : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
