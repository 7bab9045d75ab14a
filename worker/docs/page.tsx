import type { Child } from "hono/jsx";
import { anchorOf, Fields, isSchema, type Schema, Type } from "./schema.tsx";
import { STYLE } from "./style.ts";

/** What is read of an OpenAPI document. */
export interface ApiDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>;

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly summary: string;
  readonly isOpen: boolean;
  readonly parameters: readonly Parameter[];
  readonly body: Content | undefined;
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

const METHODS = ["get", "put", "post", "delete", "patch"];

function operationsOf({ paths }: ApiDocument): Operation[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    METHODS.flatMap((method): Operation[] => {
      const operation = item[method];
      if (!isSchema(operation)) return [];
      const shared = Array.isArray(item.parameters) ? item.parameters : [];
      const own = Array.isArray(operation.parameters) ? operation.parameters : [];
      const body = operation.requestBody as { readonly content: Content } | undefined;
      return [
        {
          method: method.toUpperCase(),
          path,
          summary: String(operation.summary ?? ""),
          isOpen: Array.isArray(operation.security) && operation.security.length === 0,
          parameters: [...shared, ...own] as Parameter[],
          body: body?.content,
          responses: (operation.responses ?? {}) as Operation["responses"],
        },
      ];
    }),
  );
}

const idOf = ({ method, path }: Operation): string =>
  `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+/g, "-")}`;
const groupOf = ({ path }: Operation): string => path.split("/")[1]?.replace(/\..*$/, "") ?? "";

/** The API for people: everything that the OpenAPI document says, on one page that needs no script. */
export function ApiPage({ document }: { readonly document: ApiDocument }): Child {
  const operations = operationsOf(document);
  const groups = [...Map.groupBy(operations, groupOf)];
  const { title, version, description } = document.info;
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${title} API`}</title>
        <style dangerouslySetInnerHTML={{ __html: STYLE }} />
      </head>
      <body>
        <header>
          <h1>
            {title} API <small>{version}</small>
          </h1>
          <p>{description}</p>
          <p>
            Send a token with each request: <code>Authorization: Bearer TOKEN</code>. An error is{" "}
            <code>{'{"error": {"code", "field", "message"}}'}</code>. For programs:{" "}
            <a href="/openapi.json">openapi.json</a>. In a browser: <a href="/">the dashboard</a>.
          </p>
        </header>
        <nav aria-label="Contents">
          {groups.map(([group, members]) => (
            <section>
              <h2>/{group}</h2>
              <ul>
                {members.map((operation) => (
                  <li>
                    <a href={`#${idOf(operation)}`}>
                      <Method name={operation.method} />
                      <span class="path">{operation.path}</span>
                    </a>
                  </li>
                ))}
              </ul>
            </section>
          ))}
          <section>
            <h2>Schemas</h2>
            <ul>
              {Object.keys(document.components.schemas).map((name) => (
                <li>
                  <a href={`#${anchorOf(name)}`}>{name}</a>
                </li>
              ))}
            </ul>
          </section>
        </nav>
        <main>
          {operations.map((operation) => (
            <OperationSection operation={operation} />
          ))}
          <h2>Schemas</h2>
          {Object.entries(document.components.schemas).map(([name, schema]) => (
            <section id={anchorOf(name)}>
              <h3>{name}</h3>
              {typeof schema.description === "string" && <p>{schema.description}</p>}
              <Fields schema={schema} />
            </section>
          ))}
        </main>
      </body>
    </html>
  );
}

function Method({ name }: { readonly name: string }): Child {
  return <span class={`method ${name.toLowerCase()}`}>{name}</span>;
}

function OperationSection({ operation }: { readonly operation: Operation }): Child {
  const { method, path, summary, isOpen, parameters, body, responses } = operation;
  return (
    <section id={idOf(operation)}>
      <h2>
        <Method name={method} /> <code>{path}</code>
      </h2>
      <p>
        {summary}
        {isOpen && " No token is needed."}
      </p>
      {parameters.length > 0 && <Parameters parameters={parameters} />}
      {body !== undefined && (
        <>
          <h3>Body</h3>
          {Object.entries(body).map(([type, { schema }]) => (
            <Media type={type} schema={schema} />
          ))}
        </>
      )}
      <h3>Answers</h3>
      <div class="wide">
        <table>
          <tbody>
            {Object.entries(responses).map(([status, { description, content = {} }]) => (
              <tr>
                <th scope="row">{status}</th>
                <td>{description}</td>
                <td>
                  {Object.entries(content).map(([type, { schema }]) => (
                    <div>
                      <code>{type}</code> {typeof schema?.$ref === "string" && <Type schema={schema} />}
                    </div>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Media({ type, schema }: { readonly type: string; readonly schema: Schema | undefined }): Child {
  return (
    <>
      <p>
        <code>{type}</code>
        {typeof schema?.$ref === "string" && (
          <>
            {": "}
            <Type schema={schema} />
          </>
        )}
      </p>
      {schema !== undefined && schema.$ref === undefined && <Fields schema={schema} />}
    </>
  );
}

function Parameters({ parameters }: { readonly parameters: readonly Parameter[] }): Child {
  return (
    <>
      <h3>Parameters</h3>
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">In</th>
              <th scope="col">Type</th>
              <th scope="col">Meaning</th>
            </tr>
          </thead>
          <tbody>
            {parameters.map(({ name, in: place, schema = {}, description = "" }) => (
              <tr>
                <th scope="row">
                  <code>{name}</code>
                </th>
                <td>{place}</td>
                <td>
                  <Type schema={schema} />
                </td>
                <td>{description}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
