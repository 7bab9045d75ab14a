import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { isSecret, isSignedByGithub, newSecret, signatureHeaders, wrongWith } from "./signature.ts";

/*
 * Signatures, held against the standardwebhooks package (the reference implementation), and against node's HMAC and the example of
 * GitHub's documentation.
 */

const NOW = Math.floor(Date.now() / 1000);
const BODY = '{"type":"job.ended","data":{"text":"grüße"}}';

test("what we sign, the reference verifies, and nothing that was changed", async () => {
  const secret = newSecret();
  const headers = await signatureHeaders(secret, { id: "evt_1", timestamp: NOW, body: BODY });
  expect(new Webhook(secret).verify(BODY, headers)).toEqual(JSON.parse(BODY));
  expect(() => new Webhook(secret).verify(`${BODY} `, headers)).toThrow();
  expect(() => new Webhook(secret).verify(BODY, { ...headers, "webhook-id": "evt_2" })).toThrow();
  expect(() => new Webhook(newSecret()).verify(BODY, headers)).toThrow();
});

test("while a secret is changed, whoever has either one verifies", async () => {
  const [old, young] = [newSecret(), newSecret()];
  const headers = await signatureHeaders(`${young} ${old}`, { id: "evt_1", timestamp: NOW, body: BODY });
  for (const secret of [old, young]) expect(new Webhook(secret).verify(BODY, headers)).toBeDefined();
});

test("what the reference signs we take; what is old, changed, or another's we do not", async () => {
  const secret = newSecret();
  const signed = (id: string, seconds: number, body: string) =>
    new Headers({
      "webhook-id": id,
      "webhook-timestamp": String(seconds),
      "webhook-signature": new Webhook(secret).sign(id, new Date(seconds * 1000), body),
    });
  const good = signed("msg_1", NOW, BODY);
  expect(await wrongWith(good, BODY, secret, NOW)).toBeUndefined();
  expect(await wrongWith(good, BODY, `${newSecret()} ${secret}`, NOW)).toBeUndefined();
  expect(await wrongWith(good, `${BODY} `, secret, NOW)).toMatch(/signature/);
  expect(await wrongWith(good, BODY, newSecret(), NOW)).toMatch(/signature/);
  expect(await wrongWith(good, BODY, secret, NOW + 301)).toMatch(/timestamp/);
  expect(await wrongWith(good, BODY, secret, NOW - 301)).toMatch(/timestamp/);
  expect(await wrongWith(signed("a.b", NOW, BODY), BODY, secret, NOW)).toMatch(/webhook-id/);
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
    const headers = new Headers(good);
    headers.delete(name);
    expect(await wrongWith(headers, BODY, secret, NOW)).toContain(name);
  }
  const forged = new Headers(good);
  for (const text of ["v1,", "v1,AAAA", "v1a,x", "v2,x", "v1,%%", " "]) {
    forged.set("webhook-signature", text);
    expect(await wrongWith(forged, BODY, secret, NOW)).toMatch(/signature/);
  }
});

test("a secret has 24 to 64 bytes of base64", () => {
  expect(isSecret(newSecret())).toBe(true);
  expect(isSecret(`whsec_${Buffer.alloc(24).toString("base64")}`)).toBe(true);
  for (const text of [
    "",
    "whsec_",
    "secret",
    `whsec_${Buffer.alloc(23).toString("base64")}`,
    `whsec_${Buffer.alloc(65).toString("base64")}`,
    "whsec_%%%%",
    `${newSecret()} x`,
  ])
    expect([text, isSecret(text)]).toEqual([text, false]);
});

test("GitHub's signature: its documentation's example, node's, and wrong ones", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  // "Validating webhook deliveries", section "Testing the webhook payload validation".
  const documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  expect(await isSignedByGithub(documented, bytes("Hello, World!"), "It's a Secret to Everybody")).toBe(true);
  const own = `sha256=${createHmac("sha256", "ü").update(BODY).digest("hex")}`;
  expect(await isSignedByGithub(own, bytes(BODY), "ü")).toBe(true);
  expect(await isSignedByGithub(own, bytes(`${BODY} `), "ü")).toBe(false);
  expect(await isSignedByGithub(own, bytes(BODY), "u")).toBe(false);
  for (const text of ["", "sha256=", own.slice(0, -1), own.replace("sha256", "sha1"), `${own}00`])
    expect(await isSignedByGithub(text, bytes(BODY), "ü")).toBe(false);
});
