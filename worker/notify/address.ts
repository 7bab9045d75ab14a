import ipaddr from "ipaddr.js";
import { NOTIFY_LIMITS } from "./limits.ts";

/*
 * Which addresses a request of this worker may go to. A user names them, so none may lead into the network that the worker is in
 * (server-side request forgery). This is the first of three looks; the others are in guarded-fetch.ts.
 */

/** An address that nothing is sent to; the message says why, and what would do. */
export class RefusedAddress extends Error {
  override readonly name = "RefusedAddress";
}

/** What a deployment allows besides: hosts and ports, as in a URL ("127.0.0.1:8123"), that are exempt from all looks. */
export type Exempt = ReadonlySet<string>;

/** Names that no public server has: RFC 6761, 6762, 7686, 8375, 9476, and what private networks use. */
const PRIVATE_SUFFIXES = [
  "localhost",
  "localdomain",
  "local",
  "internal",
  "intranet",
  "intra",
  "private",
  "priv",
  "consul",
  "docker",
  "fritz.box",
  "corp",
  "home",
  "lan",
  "home.arpa",
  "test",
  "invalid",
  "onion",
  "alt",
  "arpa",
];
const HTTPS_PORT = 443;
const LEAST_OTHER_PORT = 1024;
/** Global unicast, RFC 4291: everything else of IPv6 is special. */
const GLOBAL_UNICAST: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("2000::"), 3];
/** Public by its range, but answered by the host of a virtual machine (Azure's WireServer); and 6bone's, given back (RFC 3701). */
const WIRE_SERVER = "168.63.129.16";
const SIX_BONE: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("3ffe::"), 16];

/** Whether an IP address, without brackets, is one of a public server: neither private, local, multicast nor reserved, nor another's in disguise. */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== "unicast") return false;
  if (address.kind() === "ipv4") return address.toString() !== WIRE_SERVER;
  const ipv6 = address as ipaddr.IPv6;
  return ipv6.match(GLOBAL_UNICAST) && !ipv6.match(SIX_BONE);
}

/** The IP address that a URL's host is; undefined for a name. */
export function addressIn({ hostname }: URL): string | undefined {
  const text = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  return ipaddr.isValid(text) ? text : undefined;
}

/** Whether a deployment has exempted this host and port. */
export function isExempt({ hostname, port, protocol }: URL, exempt: Exempt): boolean {
  return exempt.has(`${hostname}:${port === "" ? (protocol === "https:" ? 443 : 80) : port}`);
}

/**
 * The URL, if something may be sent there as far as it can be seen from the text.
 *
 * @throws RefusedAddress
 */
export function checkAddress(text: string, exempt: Exempt): URL {
  if (text.length > NOTIFY_LIMITS.urlCharacters) throw new RefusedAddress("it is too long");
  // The parser would repair these; what somebody else's parser makes of them is another matter.
  if (/[\s\\]/.test(text) || hasControl(text))
    throw new RefusedAddress("it has a space, a control character or a backslash in it");
  if (!URL.canParse(text)) throw new RefusedAddress("it is no address of an HTTP server");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw new RefusedAddress(`it begins with ${url.protocol}; use https:`);
  if (url.username !== "" || url.password !== "" || /^[a-z]+:\/*[^/?#]*@/i.test(text))
    throw new RefusedAddress("it has a user's name or password in it; sign requests instead");
  if (text.includes("#")) throw new RefusedAddress("it has a fragment (#), which is never sent");
  if (isExempt(url, exempt)) return url;
  if (url.protocol !== "https:") throw new RefusedAddress("it begins with http:; use https:");
  const port = url.port === "" ? HTTPS_PORT : Number(url.port);
  if (port !== HTTPS_PORT && port < LEAST_OTHER_PORT)
    throw new RefusedAddress(`its port is ${port}; use 443, or one from ${LEAST_OTHER_PORT} on`);
  const address = addressIn(url);
  if (address !== undefined) {
    if (!isPublicAddress(address)) throw new RefusedAddress(`${address} is no public address`);
    return url;
  }
  const name = url.hostname.replace(/\.$/, "").toLowerCase();
  const isPrivate = PRIVATE_SUFFIXES.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
  if (isPrivate || !name.includes(".") || name.endsWith("."))
    throw new RefusedAddress(`${url.hostname} is no public name`);
  // An address of which a resolver might make one after all.
  if (/(^|\.)(\d+|0x[0-9a-f]*)$/.test(name)) throw new RefusedAddress(`${url.hostname} is no public name`);
  return url;
}

function hasControl(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}
