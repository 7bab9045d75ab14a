import type { Principal } from "../auth/principal.ts";
import { type Blob, storeBlob } from "../blobs/store.ts";
import { admitUpload, demandRoom } from "../create-job.ts";
import type { Env } from "../env.ts";
import { HttpError, messageOf } from "../errors.ts";
import { UPLOAD_LIMITS } from "../limits.ts";
import { RefusedAddress } from "../notify/address.ts";
import { guardedFetch } from "../notify/guarded-fetch.ts";
import { githubApiOf } from "../notify/settings.ts";
import { HOOK_LIMITS } from "./limits.ts";

const TOO_MANY_REQUESTS = 429;
const REQUEST_TIMEOUT = 408;

/** The places in a request where {"url": …} may stand for a stored file. */
const FILE_FIELDS: ReadonlySet<string> = new Set(["kernel", "initrd"]);
/** What is not looked into: addresses there are others. */
const OTHER_FIELDS: ReadonlySet<string> = new Set(["config", "from"]);

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The request with something else in place of each {"url": …} of a kernel or initrd. */
export function replaceUrls<T>(value: T, replace: (url: string) => unknown, field = ""): T {
  if (Array.isArray(value)) return value.map((item: unknown) => replaceUrls(item, replace, field)) as T;
  if (!isObject(value)) return value;
  if (FILE_FIELDS.has(field) && typeof value.url === "string" && Object.keys(value).length === 1)
    return replace(value.url) as T;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      OTHER_FIELDS.has(name) ? inner : replaceUrls(inner, replace, name),
    ]),
  ) as T;
}

/** The addresses in a request, each once. */
export function urlsIn(request: unknown): string[] {
  const urls = new Set<string>();
  replaceUrls(request, (url) => urls.add(url));
  return [...urls];
}

/** Whether files may be fetched from an address's host; a port other than the usual one is part of it. */
export function isAllowedHost(url: URL, hosts: readonly string[]): boolean {
  return hosts.includes(url.host.toLowerCase());
}

const failed = (url: string, why: string, status: 422 | 502 = 422): HttpError =>
  new HttpError(status, "no-artifact", `${url} could not be fetched: ${why}.`, { field: "url" });

/** Follows redirects, as release files have them, from one allowed host to another. */
async function open(
  env: Env,
  first: string,
  hosts: readonly string[],
  signal: AbortSignal,
): Promise<Response> {
  let text = first;
  for (let hop = 0; hop <= HOOK_LIMITS.redirects; hop++) {
    if (!URL.canParse(text) || !isAllowedHost(new URL(text), hosts)) {
      const host = URL.canParse(text) ? new URL(text).host : text.slice(0, 100);
      throw failed(first, `the host ${host} is not one of artifactHosts`);
    }
    const url = new URL(text);
    const isGithub = env.GITHUB_TOKEN !== undefined && url.origin === new URL(githubApiOf(env)).origin;
    const response = await guardedFetch(env, text, {
      signal,
      headers: {
        "user-agent": "xenner",
        accept: "application/octet-stream",
        ...(isGithub && { authorization: `Bearer ${env.GITHUB_TOKEN}` }),
      },
    });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    await response.body?.cancel();
    if (!URL.canParse(location, text)) throw failed(first, "it redirects to no address");
    text = new URL(location, text).href;
  }
  throw failed(first, `it redirects more than ${HOOK_LIMITS.redirects} times`);
}

/**
 * Fetches a file into the blob store, in pieces; in the name of a token, whose room it takes.
 *
 * @throws HttpError 413, 422 or 429 for what will not be better the next time, 502 or another Error for what may
 */
export async function fetchArtifact(
  env: Env,
  text: string,
  hosts: readonly string[],
  owner: Pick<Principal, "tokenId" | "quotas">,
): Promise<Blob> {
  const signal = AbortSignal.timeout(HOOK_LIMITS.artifactMilliseconds);
  let response: Response;
  try {
    response = await open(env, text, hosts, signal);
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw failed(text, messageOf(error), error instanceof RefusedAddress ? 422 : 502);
  }
  const { status, body } = response;
  const size = Number(response.headers.get("content-length") ?? 0);
  const isTemporary = status >= 500 || status === TOO_MANY_REQUESTS || status === REQUEST_TIMEOUT;
  if (!response.ok || body === null) {
    await body?.cancel();
    throw failed(text, `the answer was ${status}`, isTemporary ? 502 : 422);
  }
  if (size > UPLOAD_LIMITS.blobBytes) {
    await body.cancel();
    throw new HttpError(
      413,
      "too-large",
      `${text} has ${size} bytes; at most ${UPLOAD_LIMITS.blobBytes} are taken.`,
    );
  }
  await demandRoom(env, owner, size);
  let blob: Blob;
  try {
    blob = await storeBlob(env.BLOBS, body, text, (file) => admitUpload(env, owner, file));
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw failed(text, `it broke off: ${messageOf(error)}`, 502);
  }
  if (blob.size === 0) throw failed(text, "it is empty");
  return blob;
}
