import type { Context } from "hono";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import type { JobRunnerObject, Unreadable } from "../runner/job-runner.ts";

const JOB_ID = /^[0-9a-f]{32}$/;

export const noJob = (): HttpError =>
  new HttpError(404, "no-job", "There is no such job; its id is in the answer to POST /jobs.", {
    field: "id",
  });

/** The Durable Object of the job in the address. */
export function runnerOf(context: Context<AppEnv>): DurableObjectStub<JobRunnerObject> {
  const id = context.req.param("id") ?? "";
  // Any other name would wake an object only to find it empty.
  if (!JOB_ID.test(id)) throw noJob();
  return context.env.JOB_RUNNER.getByName(id);
}

/** An object's answer about a job that is there and can be read. Throws HttpError otherwise. */
export function readable<T extends object | null>(answer: T): Exclude<T, Unreadable | null> {
  if (answer === null) throw noJob();
  if (!("unreadable" in answer)) return answer as Exclude<T, Unreadable | null>;
  throw new HttpError(
    500,
    "damaged",
    `This job is stored, but cannot be read: ${answer.unreadable}. Post it again.`,
  );
}
