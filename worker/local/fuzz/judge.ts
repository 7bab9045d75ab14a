import Ajv2020, { type ValidateFunction } from "ajv/dist/2020.js";
import type { Document, FuzzRequest } from "./requests.ts";
import type { FuzzAnswer } from "./send.ts";

interface DocumentedAnswer {
  readonly content?: Readonly<Record<string, { readonly schema?: object }>>;
}

const CODE = /^[a-z][a-z0-9-]*$/;
/** What no log of a worker that is well says. */
const LOGGED = /uncaught|unhandled|rejection|internal error|hono|stack/i;

/** Says what is wrong with an answer, given the document that describes it. */
export class Judge {
  readonly #document: Document;
  readonly #ajv: Ajv2020;
  readonly #compiled = new Map<object, ValidateFunction>();

  constructor(document: Document) {
    this.#document = document;
    this.#ajv = new Ajv2020({ strict: false, validateFormats: false });
    this.#ajv.addSchema({ $id: "doc", components: document.components });
  }

  /** Undefined if all is well. */
  complaint(request: FuzzRequest, answer: FuzzAnswer): string | undefined {
    const { status, type, body, broken } = answer;
    if (broken !== undefined) return `broke off: ${broken}`;
    if (status >= 500) return `status ${status}`;
    // Who asks for HTML gets a page that says the same.
    const isPage = type.startsWith("text/html") && request.headers.accept === "text/html";
    if (status >= 400 && request.method !== "HEAD" && !isPage) {
      const error = parse(body) as
        | { error?: { code?: unknown; message?: unknown; field?: unknown } }
        | undefined;
      const { code, message, field } = error?.error ?? {};
      if (typeof code !== "string" || !CODE.test(code)) return `status ${status} without an error's code`;
      if (typeof message !== "string" || !/^\S.*\.$/s.test(message))
        return `status ${status} without a sentence`;
      if (field !== undefined && typeof field !== "string") return `status ${status} with a strange field`;
    }
    return request.operation === null ? undefined : this.#undocumented(request.operation, status, type, body);
  }

  #undocumented(operation: string, status: number, type: string, body: string): string | undefined {
    const [method = "", path = ""] = operation.split(" ");
    const described = this.#document.paths[path]?.[method.toLowerCase()] as
      | { readonly responses?: Readonly<Record<string, DocumentedAnswer>> }
      | undefined;
    const documented = described?.responses?.[status];
    if (documented === undefined) return `status ${status} is not in the document`;
    if (status >= 300 || documented.content === undefined) return undefined;
    const media = type.split(";")[0]?.trim() ?? "";
    const content = documented.content[media];
    if (content === undefined)
      return `status ${status} with ${media || "no content type"}, which is not in the document`;
    if (content.schema === undefined || !/json/.test(media)) return undefined;
    const value = parse(body);
    const validate = this.#validatorOf(content.schema);
    return validate(value) ? undefined : `status ${status}: ${this.#ajv.errorsText(validate.errors)}`;
  }

  #validatorOf(schema: object): ValidateFunction {
    let validate = this.#compiled.get(schema);
    if (validate === undefined) {
      const absolute = JSON.parse(
        JSON.stringify(schema).replaceAll('"#/components', '"doc#/components'),
      ) as object;
      validate = this.#ajv.compile(absolute);
      this.#compiled.set(schema, validate);
    }
    return validate;
  }
}

/** What is wrong with a line that the worker logged; undefined if nothing is. */
export function complaintOfLog(line: string): string | undefined {
  return LOGGED.test(line) ? `logged: ${line.slice(0, 2000)}` : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
