import { type Context, Hono } from "hono";
import { mayChange } from "../auth/principal.ts";
import { mayUseSnapshot } from "../auth/snapshots.ts";
import { admitUpload, createJob, withRoom } from "../create-job.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { type KernelCheck, rememberingCheck } from "../kernel-check.ts";
import { settingsOf } from "../settings.ts";
import { readJobRequest, withKernelChecked } from "./job-request.ts";
import { noJob, readable, runnerOf } from "./runner.ts";

type AppContext = Context<AppEnv>;

/** The byte offset of `?offset=`. */
function offsetOf(context: AppContext): number {
  const text = context.req.query("offset") ?? "0";
  if (!/^\d{1,15}$/.test(text)) {
    throw new HttpError(
      400,
      "bad-offset",
      "offset must be a whole number of bytes from the beginning of the console.",
      { field: "offset" },
    );
  }
  return Number(text);
}

const FOLLOW = ["", "1", "true", "yes"];
const NO_FOLLOW = ["0", "false", "no"];

/** Whether `?follow` asks to go on until the job ends. */
function followOf(context: AppContext): boolean {
  const word = context.req.query("follow")?.toLowerCase();
  if (word === undefined || NO_FOLLOW.includes(word)) return false;
  if (FOLLOW.includes(word)) return true;
  throw new HttpError(400, "bad-follow", "follow has no value, or is 1 or true; 0 or false is as without.", {
    field: "follow",
  });
}

export function jobRoutes(check: KernelCheck): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const checkOnce = rememberingCheck(check);

  app.post("/", async (context) => {
    // Better here than in each job.
    settingsOf(context.env);
    const { env } = context;
    const { principal } = context.var;
    // Nothing if it is not announced: then each file has to find its room when it has come.
    const announced = Number(context.req.header("content-length")) || 0;
    const asked = await withRoom(env, principal, announced, (held) =>
      readJobRequest(
        env.BLOBS,
        context.req.raw,
        (snapshot) => mayUseSnapshot(env, principal, snapshot),
        (blob) => admitUpload(env, principal, blob, held),
      ),
    );
    const job = await createJob(env, principal, await withKernelChecked(env, asked, checkOnce));
    return context.json(job, 201, { location: job.links.self });
  });

  app.get("/:id", async (context) => {
    const job = readable(await (await runnerOf(context)).status());
    // Addresses of those who are told may be secrets: of a public job, too, they are its owner's to see.
    const seen = mayChange(context.var.principal, job.owner)
      ? job
      : { ...job, config: { ...job.config, notify: [] } };
    return context.json(seen, 200, { "cache-control": "no-store" });
  });

  app.delete("/:id", async (context) => {
    return context.json(readable(await (await runnerOf(context, "change")).cancel()));
  });

  app.get("/:id/console", async (context) => {
    const runner = await runnerOf(context);
    const url = new URL("http://job/console");
    url.searchParams.set("offset", String(offsetOf(context)));
    if (followOf(context)) url.searchParams.set("follow", "1");
    const response = await runner.fetch(url);
    if (response.status === 404) throw noJob();
    return response;
  });

  app.get("/:id/hypercalls", async (context) => {
    const { statistics } = readable(await (await runnerOf(context)).hypercalls());
    if (statistics === null) {
      throw new HttpError(
        409,
        "not-started",
        "The guest has not started yet, so there are no statistics; ask again when its state is running.",
      );
    }
    return context.json(statistics, 200, { "cache-control": "no-store" });
  });

  return app;
}
