import type { SnapshotReference } from "../../jobs/spec.ts";
import type { Env } from "../env.ts";
import { findImporter } from "../snapshots/store.ts";
import { type Asker, isAdmin, mayChange, mayRead } from "./principal.ts";

/** Whether a token may read a snapshot, and start jobs from it: one of a job if it may read the job, an imported one if it is its own. */
export async function mayUseSnapshot(env: Env, asker: Asker, reference: SnapshotReference): Promise<boolean> {
  if (isAdmin(asker)) return true;
  if ("job" in reference) {
    const access = await env.JOB_RUNNER.getByName(reference.job).access();
    return access !== null && mayRead(asker, access);
  }
  const importer = await findImporter(env.BLOBS, reference.snapshot);
  return importer !== undefined && mayChange(asker, importer);
}
