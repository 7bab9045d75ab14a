import { NOTIFY_LIMITS } from "./limits.ts";

/*
 * Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over "id.timestamp.body" with the bytes that the secret "whsec_…" has
 * in base64. Both ways: what we send, and what others send to POST /hooks/generic.
 */

const PREFIX = "whsec_";
const VERSION = "v1";
const ENCODER = new TextEncoder();
const NEW_SECRET_BYTES = 32;

const base64Of = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

export function newSecret(): string {
  return `${PREFIX}${base64Of(crypto.getRandomValues(new Uint8Array(NEW_SECRET_BYTES)))}`;
}

/** The key that a secret stands for; undefined if it is none. */
function keyBytesOf(secret: string): Uint8Array<ArrayBuffer> | undefined {
  if (!secret.startsWith(PREFIX)) return undefined;
  const bytes = bytesOf(secret.slice(PREFIX.length));
  const { leastSecretBytes, mostSecretBytes } = NOTIFY_LIMITS;
  return bytes === undefined || bytes.length < leastSecretBytes || bytes.length > mostSecretBytes
    ? undefined
    : bytes;
}

/** Whether this is one secret, or several with spaces between them. */
export function isSecret(text: string): boolean {
  const secrets = secretsIn(text);
  return secrets.length > 0 && secrets.every((secret) => keyBytesOf(secret) !== undefined);
}

/** While a secret is being changed both are valid: a setting may have several, with spaces between them, the newest first. */
export const secretsIn = (text: string): string[] => text.split(/\s+/).filter((secret) => secret !== "");

async function keyOf(secret: string, use: "sign" | "verify"): Promise<CryptoKey> {
  const bytes = keyBytesOf(secret);
  if (bytes === undefined) throw new Error("this is no secret of Standard Webhooks");
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [use]);
}

/** A message as it is signed. */
export interface SignedMessage {
  /** The same each time the message is sent. */
  readonly id: string;
  /** Of this attempt, in seconds since 1970. */
  readonly timestamp: number;
  readonly body: string;
}

const signedBytes = ({ id, timestamp, body }: SignedMessage): Uint8Array<ArrayBuffer> =>
  new Uint8Array(ENCODER.encode(`${id}.${timestamp}.${body}`));

/** The headers of a signed message; with several secrets it has a signature by each. */
export async function signatureHeaders(
  secret: string,
  message: SignedMessage,
): Promise<Record<string, string>> {
  const signatures: string[] = [];
  for (const one of secretsIn(secret)) {
    const mac = await crypto.subtle.sign("HMAC", await keyOf(one, "sign"), signedBytes(message));
    signatures.push(`${VERSION},${base64Of(new Uint8Array(mac))}`);
  }
  return {
    "webhook-id": message.id,
    "webhook-timestamp": String(message.timestamp),
    "webhook-signature": signatures.join(" "),
  };
}

/** What is wrong with the signature of a message that came, or nothing. Comparing is done in constant time. */
export async function wrongWith(
  headers: Pick<Headers, "get">,
  body: string,
  secret: string,
  nowSeconds: number,
): Promise<string | undefined> {
  const id = headers.get("webhook-id") ?? "";
  const time = headers.get("webhook-timestamp") ?? "";
  if (!/^[^.\s]{1,200}$/.test(id)) return "The header webhook-id is missing, or is no id.";
  if (!/^\d{1,12}$/.test(time)) return "The header webhook-timestamp is missing, or is no number of seconds.";
  const timestamp = Number(time);
  if (Math.abs(nowSeconds - timestamp) > NOTIFY_LIMITS.toleranceSeconds)
    return `The header webhook-timestamp is more than ${NOTIFY_LIMITS.toleranceSeconds} seconds from now; sign the message when you send it.`;
  const message = signedBytes({ id, timestamp, body });
  for (const signature of (headers.get("webhook-signature") ?? "").split(" ", 10)) {
    const [version, text = ""] = signature.split(",", 2);
    const mac = version === VERSION ? bytesOf(text) : undefined;
    if (mac === undefined) continue;
    for (const one of secretsIn(secret)) {
      if (await crypto.subtle.verify("HMAC", await keyOf(one, "verify"), mac, message)) return undefined;
    }
  }
  return "The header webhook-signature has no signature of this message by the secret.";
}

/** Whether a body has this X-Hub-Signature-256, as GitHub signs. `secret` may be any text. */
export async function isSignedByGithub(header: string, body: BufferSource, secret: string): Promise<boolean> {
  const [, hex] = /^sha256=([0-9a-f]{64})$/i.exec(header) ?? [];
  if (hex === undefined) return false;
  const mac = Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", ENCODER.encode(secret), algorithm, false, ["verify"]);
  return crypto.subtle.verify("HMAC", key, mac, body);
}
