import { env } from "cloudflare:workers";
import type { MemberSpec } from "../../jobs/batch/schema.ts";
import { hashOf } from "../register/tokens.ts";
import { request } from "../testing/client.ts";
import type { Script } from "../testing/scripted-machine.ts";
import type { Batch } from "./batch.ts";
import type { MemberPage, MemberView } from "./member.ts";
import type { BatchView } from "./record.ts";

/** Stores a script, or something that is none, as a blob. */
export async function stored(script: Script | string): Promise<{ sha256: string }> {
  const bytes = new TextEncoder().encode(typeof script === "string" ? script : JSON.stringify(script));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const response = await request(`/blobs/${sha256}`, { method: "PUT", body: bytes });
  if (!response.ok) throw new Error(await response.text());
  return { sha256 };
}

export function postBatch(body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return request("/batches", { method: "POST", headers, body: JSON.stringify(body) });
}

export async function createBatch(body: unknown): Promise<BatchView> {
  const response = await postBatch(body);
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as BatchView;
}

/** Sees to it that there is a token of this id. */
export async function tokenOf(id: string, expiresAt: number | null = null): Promise<void> {
  const register = env.REGISTER.getByName("register");
  if (id === "root" || (await register.listTokens()).some((token) => token.id === id)) return;
  const quotas = { concurrentJobs: null, instructionsPerDay: null, storageBytes: null };
  const token = { id, name: id, scopes: ["run"] as const, quotas, createdAt: Date.now(), expiresAt };
  await register.addToken(token, await hashOf(id));
}

/** Creates a batch past the API: for whom it likes, and as large as it likes. */
export async function createBatchOf(
  owner: string,
  members: readonly MemberSpec[],
  common: Omit<MemberSpec, "name">,
  options: { readonly maxConcurrent?: number; readonly concurrentJobs?: number } = {},
): Promise<string> {
  const id = crypto.randomUUID().replaceAll("-", "");
  const quotas = {
    concurrentJobs: options.concurrentJobs ?? null,
    instructionsPerDay: null,
    storageBytes: null,
  };
  await tokenOf(owner);
  await objectOf(id).create({
    id,
    name: null,
    owner: { tokenId: owner, scopes: ["run"], quotas },
    visibility: "private",
    maxConcurrent: options.maxConcurrent ?? 256,
    common,
    members,
  });
  return id;
}

export const objectOf = (id: string): DurableObjectStub<Batch> => env.BATCH.getByName(id);

export async function getJson<T>(path: string): Promise<T> {
  const response = await request(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

export const viewOf = (id: string): Promise<BatchView> => getJson(`/batches/${id}`);

export async function batchEnd(id: string): Promise<BatchView> {
  for (;;) {
    const batch = await viewOf(id);
    if (batch.state === "ended") return batch;
    await scheduler.wait(20);
  }
}

/** All members, page by page. */
export async function membersOf(id: string, query = ""): Promise<MemberView[]> {
  const members: MemberView[] = [];
  for (let cursor: string | null = null; ; ) {
    const page: MemberPage = await getJson(
      `/batches/${id}/jobs?limit=3${query}${cursor === null ? "" : `&cursor=${cursor}`}`,
    );
    members.push(...page.jobs);
    cursor = page.next;
    if (cursor === null) return members;
  }
}
