import type { Env } from "../env.ts";
import { messageOf } from "../errors.ts";
import {
  addressIn,
  checkAddress,
  type Exempt,
  isExempt,
  isPublicAddress,
  RefusedAddress,
} from "./address.ts";

/*
 * Requests to addresses that users name. Three looks, each enough against most tricks: the address itself (address.ts); what its name
 * resolves to; and, as a name may resolve to something else a moment later, the network, which connects to no private address at all: on
 * Cloudflare by the compatibility flag global_fetch_strictly_public, on a machine of one's own by the binding
 * EGRESS, a Network of workerd's (worker/local/server.ts); what is exempt has a network of its own. Redirects are not followed here.
 */

/** The settings that say what is allowed. */
export type NetworkSettings = Pick<Env, "NOTIFY_ALLOW" | "NOTIFY_RESOLVER" | "EGRESS" | "EGRESS_EXEMPT">;

const DEFAULT_RESOLVER = "https://cloudflare-dns.com/dns-query";
/** NOTIFY_RESOLVER: names are not looked up first; the network still refuses. */
const NO_RESOLVER = "none";
const TYPES = ["A", "AAAA"] as const;
const ADDRESS_TYPES: ReadonlySet<unknown> = new Set([1, 28]);
const NO_SUCH_NAME = 3;

/** NOTIFY_ALLOW: hosts with ports, commas between them. */
export function exemptOf({ NOTIFY_ALLOW = "" }: NetworkSettings): Exempt {
  return new Set(
    NOTIFY_ALLOW.split(",")
      .map((entry) => entry.trim().toLowerCase())
      .filter((entry) => entry !== ""),
  );
}

interface DnsAnswer {
  readonly Status?: unknown;
  readonly Answer?: readonly { readonly type?: unknown; readonly data?: unknown }[];
}

/** The addresses of a name, asked by HTTPS (the JSON of Cloudflare's and Google's resolvers). */
async function lookUp(name: string, resolver: string, signal: AbortSignal): Promise<string[]> {
  const answers = TYPES.map(async (type) => {
    const url = new URL(resolver);
    url.searchParams.set("name", name);
    url.searchParams.set("type", type);
    const response = await fetch(url, {
      headers: { accept: "application/dns-json" },
      redirect: "manual",
      signal,
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`the resolver answered ${response.status}`);
    }
    const { Status, Answer = [] } = (await response.json()) as DnsAnswer;
    if (Status !== 0 && Status !== NO_SUCH_NAME)
      throw new Error(`the resolver answered with status ${String(Status)}`);
    return Answer.filter(({ type: kind }) => ADDRESS_TYPES.has(kind)).map(({ data }) => String(data));
  });
  return (await Promise.all(answers)).flat();
}

/** @throws RefusedAddress if any address of the name is not public: a client may take any of them */
async function checkName(url: URL, resolver: string, signal: AbortSignal): Promise<void> {
  let addresses: string[];
  try {
    addresses = await lookUp(url.hostname.replace(/\.$/, ""), resolver, signal);
  } catch (error) {
    throw new Error(`${url.hostname} could not be looked up: ${messageOf(error)}`);
  }
  if (addresses.length === 0) throw new Error(`there is no server named ${url.hostname}`);
  const special = addresses.find((address) => !isPublicAddress(address));
  if (special !== undefined)
    throw new RefusedAddress(`${url.hostname} is at ${special}, which is no public address`);
}

/**
 * A request to an address that a user named. A redirect is the answer itself, with a status of 3xx.
 *
 * @throws RefusedAddress if nothing may be sent there; Error if it cannot be reached
 */
export async function guardedFetch(
  env: NetworkSettings,
  text: string,
  init: RequestInit & { readonly signal: AbortSignal },
): Promise<Response> {
  const exempt = exemptOf(env);
  const url = checkAddress(text, exempt);
  const resolver = env.NOTIFY_RESOLVER ?? DEFAULT_RESOLVER;
  const isTrusted = isExempt(url, exempt);
  if (!isTrusted && addressIn(url) === undefined && resolver !== NO_RESOLVER)
    await checkName(url, resolver, init.signal);
  try {
    const request: RequestInit = { ...init, redirect: "manual" };
    const egress = isTrusted ? (env.EGRESS_EXEMPT ?? env.EGRESS) : env.EGRESS;
    return await (egress === undefined ? fetch(url, request) : egress.fetch(url, request));
  } catch (error) {
    if (init.signal.aborted) throw new Error(`${url.host} took too long to answer`);
    throw new Error(`${url.host} cannot be reached: ${messageOf(error)}`);
  }
}
