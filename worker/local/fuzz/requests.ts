import { gzipSync } from "node:zlib";
import type { Random } from "./random.ts";
import { anything, type Schema, type Schemas, spoil, Values } from "./values.ts";

/** A request as it goes out. */
export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  /** The operation of the document that it was made from, such as "GET /jobs/{id}"; null for one that is none. */
  readonly operation: string | null;
  /** It may create a job or several. */
  readonly starts: boolean;
}

/** What is known to exist, to be asked for. */
export interface Known {
  readonly tokens: readonly string[];
  /** Ids by the first part of their address: "jobs", "batches" ... */
  readonly ids: Readonly<Record<string, readonly string[]>>;
  readonly cursors: readonly string[];
  readonly names: readonly string[];
  readonly sha256s: readonly string[];
  readonly fixtures: readonly string[];
  /** A file that can be booted. */
  readonly kernel: Buffer;
}

type Operation = Readonly<{
  parameters?: readonly Parameter[];
  requestBody?: { content: Readonly<Record<string, { schema?: Schema }>> };
}>;
type Parameter = Readonly<{ name: string; in: string; schema?: Schema; required?: boolean }>;

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components: { readonly schemas: Schemas };
}

const WILD_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE"];
const WILD_PATHS = [
  "/",
  "//",
  "/..",
  "/jobs/",
  "/jobs//console",
  "/jobs/%2e%2e/console",
  "/jobs/%00",
  "/jobs/%ff%fe",
  "/jobs/%E0%A4%A",
  "/JOBS",
  "/jobs.json",
  "/jobs/__proto__",
  "/jobs/constructor/console",
  "/jobs/:id",
  "/jobs/{id}",
  "/jobs/*",
  "/blobs",
  "/favicon.ico",
  "/openapi.json/",
  "/healthz?x=%",
  `/${"a".repeat(4000)}`,
  `/${"a/".repeat(500)}`,
  "/jobs?limit=-1&cursor=%00&label=&label==&label=a=b&state=x",
];
const QUERY_VALUES = [
  "",
  "0",
  "1",
  "-1",
  "1e9",
  "99999999999999999999",
  "x",
  "%00",
  "%ff",
  "a=b",
  "%F0%9F%98%80",
  "[]",
];
const BOUNDARY = "----fuzz";

function recent(ids: readonly string[] | undefined): readonly string[] | undefined {
  return ids === undefined || ids.length === 0 ? undefined : ids.slice(-50);
}

/** Makes requests from an OpenAPI document: as it says, a little different, and wild ones. */
export class RequestMaker {
  readonly #random: Random;
  readonly #document: Document;
  readonly #operations: readonly (readonly [path: string, method: string])[];
  readonly #known: Known;
  readonly #values: Values;
  /** First part of the address that is being made. */
  #collection = "";

  constructor(random: Random, document: Document, known: Known) {
    this.#random = random;
    this.#document = document;
    this.#known = known;
    this.#operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item)
        .filter((method) => /^(get|put|post|delete|patch|head)$/.test(method))
        .map((method) => [path, method] as const),
    );
    this.#values = new Values(random, document.components.schemas, (name) => this.#hints(name));
  }

  /** `mayStart`: whether it may be one that is right and starts jobs. */
  next(mayStart: boolean): FuzzRequest {
    const random = this.#random;
    if (random.percent(5)) return this.#wild();
    const [path, method] = random.pick(this.#operations);
    this.#collection = path.split("/")[1] ?? "";
    const item = this.#document.paths[path] ?? {};
    const operation = item[method] as Operation;
    const parameters = [
      ...((item.parameters as Parameter[] | undefined) ?? []),
      ...(operation.parameters ?? []),
    ];
    const content = operation.requestBody?.content;
    const starts = method === "post" && /^\/(jobs|batches)$/.test(path);
    const isRight = random.percent(50) && (mayStart || !starts);
    const body = content === undefined ? undefined : this.#body(content, isRight);
    const stray = content === undefined && random.percent(3);
    const headers: Record<string, string> = { ...this.#authorization(isRight), ...body?.headers };
    if (stray) headers["content-type"] = "application/json";
    if (!isRight && random.percent(10)) Object.assign(headers, this.#oddHeaders());
    const verb = !isRight && random.percent(4) ? random.pick(WILD_METHODS) : method.toUpperCase();
    const filled = this.#path(path, parameters, isRight);
    // An empty part of the path, or "..", makes it another route's; what asks for a WebSocket is a GET to the runtime, and what asks for HTML gets a page.
    const isRoute =
      headers.upgrade === undefined &&
      headers.accept === undefined &&
      verb === method.toUpperCase() &&
      !/\/(\.\.|\.svg)?(\/|\?|$)/.test(filled);
    return {
      method: verb,
      path: filled,
      headers,
      body:
        verb === "GET" || verb === "HEAD" || verb === "TRACE"
          ? undefined
          : stray
            ? random.bytes(20)
            : body?.bytes,
      operation: isRoute ? `${verb} ${path}` : null,
      starts: starts && isRight,
    };
  }

  #hints(name: string): readonly unknown[] | undefined {
    const { ids, cursors, sha256s, fixtures, names } = this.#known;
    switch (name) {
      case "fixture":
        return fixtures;
      case "sha256":
        return sha256s;
      case "job":
      case "with":
        return recent(ids.jobs);
      case "batch":
        return recent(ids.batches);
      case "id":
        return recent(ids[this.#collection]);
      case "label":
        return ["branch=main", "name=hello"];
      case "labels":
        return [{ branch: "main" }, { name: "hello", branch: "main" }];
      case "limit":
        return ["1", "10", "100"];
      case "cursor":
        return cursors.length > 0 ? cursors.slice(-20) : undefined;
      case "after":
      case "before":
        return ["2026-01-01T00:00:00Z", "2027-01-01"];
      case "verdict":
        return ["pass", "pass,fail"];
      case "expiresAt":
        return ["2099-01-01T00:00:00Z"];
      case "snapshot":
      case "name":
        return names;
      case "memory":
        return [16, 32];
      case "url":
      case "notify":
        // Nobody must be there: what is sent is garbage.
        return ["http://127.0.0.1:9/hook", "https://hooks.invalid/x"];
      case "cpu":
        return ["v1", "v2", "v2,-sse4.2"];
      case "state":
        return this.#collection === "batches" ? ["ended", "running"] : ["passed", "failed,queued"];
      case "owner":
        return ["root"];
      case "kernel":
        return [{ fixture: fixtures[0] }, { sha256: sha256s[0] }];
      case "mode":
        return ["pv"];
      case "initrd":
        return [{ sha256: sha256s[0] }];
      case "stateHashEvery":
        return [null, 5e7];
      default:
        return undefined;
    }
  }

  #wild(): FuzzRequest {
    const random = this.#random;
    const body = random.percent(30) ? random.bytes(random.below(200)) : undefined;
    const method = random.pick(WILD_METHODS);
    return {
      method,
      path: random.pick(WILD_PATHS),
      headers: { ...this.#authorization(random.percent(80)), ...this.#oddHeaders() },
      body: method === "GET" || method === "HEAD" || method === "TRACE" ? undefined : body,
      operation: null,
      starts: false,
    };
  }

  #authorization(isRight: boolean): Record<string, string> {
    const random = this.#random;
    const [root = ""] = this.#known.tokens;
    // Others may have been deleted since.
    const right = { authorization: `Bearer ${random.percent(75) ? root : random.pick(this.#known.tokens)}` };
    if (isRight || random.percent(85)) return right;
    const { authorization } = right;
    return random.pick<Record<string, string>>([
      {},
      { authorization: "" },
      { authorization: "Bearer" },
      { authorization: "Bearer  " },
      { authorization: authorization.toUpperCase() },
      { authorization: authorization.slice(0, -1) },
      { authorization: `${authorization} x` },
      { authorization: `Basic ${Buffer.from(authorization).toString("base64")}` },
      { authorization: `Bearer ${"x".repeat(6000)}` },
      { authorization: "Bearer \u00e9\u00ff" },
      { authorization: `Bearer xen_${random.hex(40)}` },
    ]);
  }

  #oddHeaders(): Record<string, string> {
    return this.#random.pick<Record<string, string>>([
      { "content-type": "" },
      { "content-type": "multipart/form-data" },
      { "content-type": "multipart/form-data; boundary=" },
      { "content-type": `multipart/form-data; boundary="${"b".repeat(300)}"` },
      { "content-type": "application/json; charset=utf-16" },
      { "content-type": "text/plain" },
      { "content-encoding": "gzip" },
      { "content-encoding": "br, x" },
      { range: "bytes=5-2" },
      { range: "bytes=-99999999999" },
      { "if-none-match": '"x"' },
      { accept: "text/html" },
      { "accept-encoding": "zstd, br;q=0" },
      { host: "evil.example" },
      { "x-forwarded-for": "1.2.3.4, \u00e9" },
      { cookie: "session=\u00ff; a=b; =; x" },
      { origin: "null" },
      { expect: "nothing" },
      { "last-event-id": "-1" },
      { upgrade: "websocket", connection: "Upgrade" },
    ]);
  }

  #path(path: string, parameters: readonly Parameter[], isRight: boolean): string {
    const random = this.#random;
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
      const parameter = parameters.find((one) => one.in === "path" && one.name === name);
      if (!isRight && random.percent(20))
        return encodeURIComponent(String(random.pick(["x", "..", "", "é", "a b", "%"])));
      const value = this.#values.of(parameter?.schema ?? { type: "string" }, name);
      return encodeURIComponent(String(value));
    });
    const query = parameters
      .filter((parameter) => parameter.in === "query" && (parameter.required === true || random.percent(40)))
      .map(({ name, schema = {} }) => {
        const value = !isRight && random.percent(40) ? random.pick(QUERY_VALUES) : undefined;
        return `${name}=${value ?? encodeURIComponent(String([this.#values.of(schema, name)].flat()[0] ?? ""))}`;
      });
    if (!isRight && random.percent(5))
      query.push(`${random.pick(["x", "limit", "__proto__", "%"])}=${random.pick(QUERY_VALUES)}`);
    return query.length === 0 ? filled : `${filled}?${query.join("&")}`;
  }

  #body(
    content: Readonly<Record<string, { schema?: Schema }>>,
    isRight: boolean,
  ): { readonly headers: Record<string, string>; readonly bytes: Buffer } {
    const random = this.#random;
    const type = random.pick(Object.keys(content));
    const schema = content[type]?.schema ?? {};
    if (!isRight && random.percent(10)) {
      const bytes = random.pick([
        Buffer.alloc(0),
        random.bytes(300),
        Buffer.alloc(200_000, "["),
        Buffer.alloc(70_000, " "),
      ]);
      return { headers: { "content-type": type }, bytes };
    }
    if (type === "multipart/form-data") return this.#multipart(schema, isRight);
    if (!/json/.test(type)) {
      const bytes = random.percent(50) ? this.#known.kernel : random.bytes(random.below(5000));
      return { headers: { "content-type": type }, bytes };
    }
    const value = this.#values.of(schema);
    const text = JSON.stringify(isRight ? value : spoil(value, random)) ?? "undefined";
    let bytes = Buffer.from(text);
    const headers: Record<string, string> = { "content-type": type };
    if (!isRight && random.percent(10)) {
      switch (random.below(5)) {
        case 0:
          bytes = bytes.subarray(0, random.below(bytes.length + 1));
          break;
        case 1:
          bytes = Buffer.concat([bytes, random.bytes(3)]);
          break;
        case 2:
          bytes = Buffer.concat([Buffer.from("\ufeff"), bytes]);
          break;
        case 3:
          bytes = gzipSync(bytes);
          headers["content-encoding"] = "gzip";
          break;
        default:
          bytes = Buffer.from(text, "utf16le");
      }
    }
    return { headers, bytes };
  }

  #multipart(schema: Schema, isRight: boolean): { headers: Record<string, string>; bytes: Buffer } {
    const random = this.#random;
    const properties = (schema.properties ?? {}) as Readonly<Record<string, Schema>>;
    const required = new Set((schema.required as string[] | undefined) ?? []);
    const names = Object.keys(properties).filter((name) => required.has(name) || random.percent(60));
    if (!isRight && random.percent(30))
      names.push(random.pick([...Object.keys(properties), "x", "", '\u00e9"\r\n']));
    if (!isRight && random.percent(30)) names.shift();
    const parts = names.flatMap((name) => {
      const property = properties[name] ?? {};
      const isFile = property.type === "string";
      const value = isFile ? undefined : this.#values.of(property, name);
      const json = (): Buffer => Buffer.from(JSON.stringify(isRight ? value : spoil(value, random)) ?? "");
      const file = isRight || random.percent(60) ? this.#known.kernel : random.bytes(random.below(3000));
      const filename = isFile ? `; filename="${random.pick(["bzImage", "../x", "é", ""])}"` : "";
      return [
        Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${filename}\r\n`),
        Buffer.from(!isRight && random.percent(10) ? `X: ${"y".repeat(random.below(9000))}\r\n\r\n` : "\r\n"),
        isFile ? file : json(),
        Buffer.from("\r\n"),
      ];
    });
    let bytes = Buffer.concat([...parts, Buffer.from(`--${BOUNDARY}--\r\n`)]);
    if (!isRight && random.percent(20)) bytes = bytes.subarray(0, random.below(bytes.length + 1));
    if (!isRight && random.percent(5))
      bytes = Buffer.concat([bytes, Buffer.from(JSON.stringify(anything(random)))]);
    const boundary = !isRight && random.percent(5) ? "another" : BOUNDARY;
    return { headers: { "content-type": `multipart/form-data; boundary=${boundary}` }, bytes };
  }
}
