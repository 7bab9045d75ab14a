import { exports } from "cloudflare:workers";
import type { ErrorBody } from "../errors.ts";
import type { JobView } from "../runner/record.ts";
import type { Script } from "./scripted-machine.ts";

/** Requests to the worker under test, with its token unless other headers are given. */
export function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has("authorization")) headers.set("authorization", "Bearer test-token");
  return exports.default.fetch(new Request(`http://worker${path}`, { ...init, headers }));
}

/** A multipart POST /jobs. */
export function postJob(kernel: Script | Uint8Array | string, config?: unknown): Promise<Response> {
  const form = new FormData();
  const isBytes = kernel instanceof Uint8Array || typeof kernel === "string";
  form.set("kernel", new Blob([isBytes ? kernel : JSON.stringify(kernel)]), "kernel");
  if (config !== undefined) form.set("config", JSON.stringify(config));
  return request("/jobs", { method: "POST", body: form });
}

export async function createJob(kernel: Script, config?: unknown): Promise<JobView> {
  const response = await postJob(kernel, config);
  if (response.status !== 201) throw new Error(`POST /jobs: ${response.status} ${await response.text()}`);
  return (await response.json()) as JobView;
}

export async function jobOf(id: string): Promise<JobView> {
  return (await (await request(`/jobs/${id}`)).json()) as JobView;
}

/** Waits until the job has ended. */
export async function endOf(id: string): Promise<JobView> {
  for (;;) {
    const job = await jobOf(id);
    if (job.endedAt !== null) return job;
    await scheduler.wait(10);
  }
}

export async function consoleOf(id: string, query = ""): Promise<string> {
  return (await request(`/jobs/${id}/console${query}`)).text();
}

export async function errorOf(response: Response): Promise<ErrorBody["error"]> {
  return ((await response.json()) as ErrorBody).error;
}
