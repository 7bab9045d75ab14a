import { type Context, Hono } from "hono";
import { SnapshotError } from "../../engine/snapshot-format.ts";
import { fieldsOf, parseSnapshotName, type SnapshotReference } from "../../jobs/spec.ts";
import { mayUseSnapshot } from "../auth/snapshots.ts";
import { demandRoom, withRoom } from "../create-job.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { UPLOAD_LIMITS } from "../limits.ts";
import { registerOf } from "../register/stub.ts";
import { chunksOf } from "../request-body.ts";
import type { RefusedSnapshot } from "../runner/snapshots.ts";
import { SNAPSHOT_LIMITS } from "../snapshots/limits.ts";
import { checkSnapshot } from "../snapshots/read.ts";
import {
  admitSnapshot,
  deleteSnapshot,
  listSnapshots,
  listSnapshotsOf,
  openSnapshot,
  putSnapshot,
  type SnapshotView,
  snapshotKey,
} from "../snapshots/store.ts";
import { jsonOf, lengthOf } from "./body.ts";
import { readable, runnerOf } from "./runner.ts";

type AppContext = Context<AppEnv>;

const ID = /^[0-9a-f]{32}$/;
const NO_STORE = { "cache-control": "no-store" };

function noSnapshot(): HttpError {
  return new HttpError(
    404,
    "no-snapshot",
    "There is no such snapshot: it was never made, was deleted, or its time is over.",
    { field: "snapshot" },
  );
}

/** Whose imported snapshots a request sees: undefined for everybody's. */
function ownerOf(context: AppContext): string | undefined {
  const { scopes, tokenId } = context.var.principal;
  return scopes.has("admin") ? undefined : tokenId;
}

/** The file as it is stored. */
async function exported(context: AppContext, reference: SnapshotReference): Promise<Response> {
  const object = await openSnapshot(context.env.BLOBS, reference);
  if (object === undefined) throw noSnapshot();
  const name = object.customMetadata?.name ?? "snapshot";
  return new Response(object.body, {
    headers: {
      "content-type": "application/octet-stream",
      "content-length": String(object.size),
      "content-disposition": `attachment; filename="${name}.xsn"`,
      etag: object.httpEtag,
    },
  });
}

async function removed(context: AppContext, reference: SnapshotReference): Promise<Response> {
  // In this order: if one fails, the snapshot is still there, and can be removed again.
  await registerOf(context.env).unstore(snapshotKey(reference));
  if (!(await deleteSnapshot(context.env.BLOBS, reference))) throw noSnapshot();
  return context.body(null, 204);
}

/** Snapshots of one job: mounted under /jobs. */
export function jobSnapshotRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  const referenceOf = (context: AppContext): SnapshotReference => {
    const job = context.req.param("id") ?? "";
    if (!ID.test(job)) throw noSnapshot();
    return { job, snapshot: parseSnapshotName(context.req.param("name"), "name") };
  };

  app.post("/:id/snapshots", async (context) => {
    const runner = await runnerOf(context, "change");
    await demandRoom(context.env, context.var.principal, 1);
    const body = await jsonOf(context.req.raw.body, UPLOAD_LIMITS.jsonBytes, '{"name": "…"}');
    const { name } = fieldsOf(body, "body", ["name"]);
    const made: SnapshotView | RefusedSnapshot = readable(
      await runner.snapshot(parseSnapshotName(name, "name")),
    );
    if ("refused" in made) throw new HttpError(made.refused.status, made.refused.code, made.refused.message);
    return context.json(made, 201, { location: made.links.self });
  });

  app.get("/:id/snapshots", async (context) => {
    readable(await (await runnerOf(context)).status());
    const snapshots = await listSnapshotsOf(context.env.BLOBS, context.req.param("id"));
    return context.json({ snapshots }, 200, NO_STORE);
  });

  app.get("/:id/snapshots/:name", async (context) => {
    const reference = referenceOf(context);
    await runnerOf(context);
    return exported(context, reference);
  });
  app.delete("/:id/snapshots/:name", async (context) => {
    const reference = referenceOf(context);
    await runnerOf(context, "change");
    return removed(context, reference);
  });
  return app;
}

function tooLarge(): HttpError {
  return new HttpError(413, "too-large", `A snapshot has at most ${SNAPSHOT_LIMITS.fileBytes} bytes.`, {
    field: "body",
  });
}

/** Counts what comes; more than a snapshot can be is refused. */
async function* bounded(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunksOf(body)) {
    bytes += chunk.length;
    if (bytes > SNAPSHOT_LIMITS.fileBytes) throw tooLarge();
    yield chunk;
  }
}

/** What is wrong with a file that was sent. */
function refused(error: unknown): unknown {
  if (!(error instanceof SnapshotError)) return error;
  const message = `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}; export it again and send the whole file.`;
  return new HttpError(422, error.code, message, { field: "body" });
}

/** Snapshots that were made elsewhere and sent here. */
export function snapshotRoutes(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  const referenceOf = (context: AppContext): SnapshotReference => {
    const snapshot = context.req.param("id") ?? "";
    if (!ID.test(snapshot)) throw noSnapshot();
    return { snapshot };
  };

  app.post("/", async (context) => {
    const { body } = context.req.raw;
    if (body === null)
      throw new HttpError(400, "empty", "Send the file of a snapshot as the body.", { field: "body" });
    const { tokenId } = context.var.principal;
    const size = lengthOf(context.req.header("content-length"));
    if (size > SNAPSHOT_LIMITS.fileBytes) throw tooLarge();
    const reference = { snapshot: crypto.randomUUID().replaceAll("-", "") };
    const stored = await withRoom(context.env, context.var.principal, size, async () => {
      await admitSnapshot(context.env.BLOBS, reference, tokenId);
      try {
        const { header, chunks } = await checkSnapshot(bounded(body));
        const key = snapshotKey(reference);
        const put = await putSnapshot(context.env.BLOBS, key, header, chunks, tokenId);
        const until = Date.now() + SNAPSHOT_LIMITS.keepMilliseconds;
        await registerOf(context.env).store(key, tokenId, put.bytes, until, false);
        return put;
      } catch (error) {
        throw refused(error);
      }
    });
    return context.json(stored, 201, { location: stored.links.self });
  });

  app.get("/", async (context) =>
    context.json({ snapshots: await listSnapshots(context.env.BLOBS, ownerOf(context)) }, 200, NO_STORE),
  );

  app.get("/:id", async (context) => {
    const reference = referenceOf(context);
    if (!(await mayUseSnapshot(context.env, context.var.principal, reference))) throw noSnapshot();
    return exported(context, reference);
  });
  app.delete("/:id", async (context) => {
    const reference = referenceOf(context);
    if (!(await mayUseSnapshot(context.env, context.var.principal, reference))) throw noSnapshot();
    return removed(context, reference);
  });
  return app;
}
