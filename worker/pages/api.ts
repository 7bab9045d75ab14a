import type { Context } from "hono";
import type { AppEnv } from "../env.ts";
import type { ErrorBody } from "../errors.ts";

/** Whatever serves the API: the whole app. */
export interface ApiServer {
  fetch(request: Request, env: AppEnv["Bindings"], context: ExecutionContext): Response | Promise<Response>;
}

/** The API refused what a page asked of it. */
export class ApiRefusal extends Error {
  readonly status: number;
  readonly error: ErrorBody["error"];

  constructor(status: number, error: ErrorBody["error"]) {
    super(error.message);
    this.name = "ApiRefusal";
    this.status = status;
    this.error = error;
  }
}

/**
 * The API as a page uses it: in this process, with the visitor's own token. So a page shows what the API would say to whoever looks at
 * it, and nothing else.
 */
export class PageApi {
  readonly #server: ApiServer;
  readonly #context: Context<AppEnv>;

  constructor(server: ApiServer, context: Context<AppEnv>) {
    this.#server = server;
    this.#context = context;
  }

  /** Any answer, errors included. */
  async send(path: string, init: RequestInit = {}): Promise<Response> {
    const { req, env, executionCtx } = this.#context;
    const headers = new Headers(init.headers);
    headers.set("accept", "application/json");
    const authorization = req.header("authorization");
    if (authorization !== undefined) headers.set("authorization", authorization);
    const request = new Request(new URL(path, req.url), { ...init, headers });
    return await this.#server.fetch(request, env, executionCtx as ExecutionContext);
  }

  /** @throws ApiRefusal */
  async get<T>(path: string): Promise<T> {
    const response = await this.send(path);
    if (!response.ok) throw await refusalOf(response);
    return (await response.json()) as T;
  }

  /** As get; undefined where there is nothing yet, or nothing any more. */
  async find<T>(path: string): Promise<T | undefined> {
    const response = await this.send(path);
    if (response.ok) return (await response.json()) as T;
    const refusal = await refusalOf(response);
    if (response.status === 401 || response.status === 403) throw refusal;
    return undefined;
  }
}

export async function refusalOf(response: Response): Promise<ApiRefusal> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as ErrorBody;
    return new ApiRefusal(response.status, error);
  } catch {
    return new ApiRefusal(response.status, { code: "no-json", message: text.slice(0, 500) });
  }
}
