import { createHash } from "node:crypto";
import { openAsBlob } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { HypercallStatistics } from "../../engine/machine-api.ts";
import type { ErrorBody } from "../errors.ts";
import type { JobView } from "../runner/record.ts";
import type { SnapshotView } from "../snapshots/store.ts";

/** The worker answered with an error. */
export class ApiError extends Error {
  readonly status: number;
  readonly error: ErrorBody["error"];

  constructor(status: number, error: ErrorBody["error"]) {
    super(error.message);
    this.name = "ApiError";
    this.status = status;
    this.error = error;
  }
}

/** How long to try to reach a worker that was reachable before: a killed workerd is back within a few seconds. */
const RECONNECT_MILLISECONDS = 30_000;
const RETRY_MILLISECONDS = 200;

/** The worker's API over HTTP. Methods throw ApiError, or whatever fetch throws when the worker cannot be reached. */
export class Client {
  readonly #url: string;
  readonly #token: string | undefined;

  constructor(url: string, token: string | undefined) {
    this.#url = url;
    this.#token = token;
  }

  async request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token !== undefined) headers.set("authorization", `Bearer ${this.#token}`);
    const response = await fetch(new URL(path, this.#url), { ...init, headers }).catch((error: unknown) => {
      // "fetch failed" says neither what nor where; its cause says why.
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      throw new Error(`the worker at ${this.#url} cannot be reached`, { cause });
    });
    if (response.ok) return response;
    const text = await response.text();
    let error: ErrorBody["error"];
    try {
      error = (JSON.parse(text) as ErrorBody).error;
    } catch {
      error = { code: "no-json", message: `${response.status} ${text.slice(0, 500)}` };
    }
    throw new ApiError(response.status, error);
  }

  /** Sends a file unless the worker has it; returns its SHA-256. */
  async putFile(path: string): Promise<string> {
    const bytes = await readFile(path);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    try {
      await this.request(`/blobs/${sha256}`, { method: "HEAD" });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      await this.request(`/blobs/${sha256}`, { method: "PUT", body: bytes });
    }
    return sha256;
  }

  async createJob(body: unknown): Promise<JobView> {
    const headers = { "content-type": "application/json" };
    const response = await this.request("/jobs", { method: "POST", headers, body: JSON.stringify(body) });
    return (await response.json()) as JobView;
  }

  /** Sends a snapshot's file; the answer's `from` is what a job starts from it with. */
  async importSnapshot(path: string): Promise<SnapshotView> {
    // A blob's length is known, and sent: the worker wants to know what it has to make room for.
    const init = { method: "POST", body: (await openAsBlob(path)) as unknown as Blob };
    return (await (await this.request("/snapshots", init)).json()) as SnapshotView;
  }

  /** Writes the file of a job's snapshot. */
  async exportSnapshot(job: string, name: string, path: string): Promise<void> {
    const { body } = await this.request(`/jobs/${job}/snapshots/${name}`);
    await writeFile(path, body ?? []);
  }

  /** An address of the dashboard that logs a browser in with this client's token: once, within ten minutes. */
  async loginLink(): Promise<string> {
    const { url } = (await (await this.request("/login/links", { method: "POST" })).json()) as {
      url: string;
    };
    return url;
  }

  async job(id: string): Promise<JobView> {
    return (await (await this.request(`/jobs/${id}`)).json()) as JobView;
  }

  async cancel(id: string): Promise<void> {
    await this.request(`/jobs/${id}`, { method: "DELETE" });
  }

  /** Statistics of a job; undefined if its guest never started. */
  async hypercalls(id: string): Promise<HypercallStatistics | undefined> {
    try {
      return (await (await this.request(`/jobs/${id}/hypercalls`)).json()) as HypercallStatistics;
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) return undefined;
      throw error;
    }
  }

  /** Gives the console to `write` as it comes, from byte `from` until the job has ended; goes on where it was if the connection breaks. */
  async followConsole(id: string, write: (bytes: Uint8Array) => void, from = 0): Promise<JobView> {
    let offset = from;
    /** Since when no request has been answered: a connection that breaks after a long silence is no such thing. */
    let failingSince: number | undefined;
    for (;;) {
      try {
        const response = await this.request(`/jobs/${id}/console?follow=1&offset=${offset}`);
        failingSince = undefined;
        for await (const bytes of response.body ?? []) {
          offset += bytes.length;
          write(bytes);
        }
        const job = await this.job(id);
        if (job.endedAt !== null) return job;
      } catch (error) {
        if (error instanceof ApiError && error.status < 500) throw error;
        failingSince ??= performance.now();
        if (performance.now() - failingSince > RECONNECT_MILLISECONDS) throw error;
        await sleep(RETRY_MILLISECONDS);
      }
    }
  }
}
