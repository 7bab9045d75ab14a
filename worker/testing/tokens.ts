import { request } from "./client.ts";
import type { Script } from "./scripted-machine.ts";

/** A token that was made for a test. */
export interface MadeToken {
  readonly id: string;
  readonly token: string;
}

/** Makes a token; `body` as POST /tokens takes it. */
export async function makeToken(body: object): Promise<MadeToken> {
  const response = await request("/tokens", { method: "POST", body: JSON.stringify(body) });
  if (response.status !== 201) throw new Error(`POST /tokens: ${response.status} ${await response.text()}`);
  return (await response.json()) as MadeToken;
}

/** A request with a token's text, or with none. */
export function as(token: string | undefined, path: string, init: RequestInit = {}): Promise<Response> {
  const authorization = token === undefined ? "" : `Bearer ${token}`;
  return request(path, { ...init, headers: { ...(init.headers as object), authorization } });
}

/** A multipart POST /jobs with a token. */
export function postAs(token: string, script: Script, config: object = {}): Promise<Response> {
  const form = new FormData();
  form.set("kernel", new Blob([JSON.stringify(script)]), "kernel");
  form.set("config", JSON.stringify(config));
  return as(token, "/jobs", { method: "POST", body: form });
}

export async function jobAs(token: string, script: Script, config: object = {}): Promise<string> {
  const response = await postAs(token, script, config);
  if (response.status !== 201) throw new Error(`POST /jobs: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { id: string }).id;
}

/** Waits until the job has ended. */
export async function ended(token: string, id: string): Promise<void> {
  for (;;) {
    const job = (await (await as(token, `/jobs/${id}`)).json()) as { endedAt: string | null };
    if (job.endedAt !== null) return;
    await scheduler.wait(10);
  }
}
