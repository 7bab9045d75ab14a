import type { ContentfulStatusCode } from "hono/utils/http-status";

/** A request that cannot be served. It becomes `{error: {code, field?, message}}`. */
export class HttpError extends Error {
  readonly status: ContentfulStatusCode;
  readonly code: string;
  readonly field: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  /** `message` says what is wrong and what to do about it; `field` is the part of the request that is wrong. */
  constructor(
    status: ContentfulStatusCode,
    code: string,
    message: string,
    options: { readonly field?: string; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.name = "HttpError";
    this.status = status;
    this.code = code;
    this.field = options.field;
    this.headers = options.headers ?? {};
  }
}

/** The body of every error answer. */
export interface ErrorBody {
  readonly error: { readonly code: string; readonly field?: string; readonly message: string };
}

export function errorBody(code: string, message: string, field?: string): ErrorBody {
  return { error: { code, ...(field === undefined ? {} : { field }), message } };
}

/** What something that was thrown says. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
