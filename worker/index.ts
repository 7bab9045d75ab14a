import { createApp } from "./app.ts";
import { ENGINE } from "./engine.ts";
import { handlersOf } from "./handlers.ts";
import { checkKernel } from "./kernel-check.ts";
import { JobRunnerObject } from "./runner/job-runner.ts";

/** The Durable Object of wrangler.toml: one job each. */
export class JobRunner extends JobRunnerObject {
  protected override readonly engine = ENGINE;
}

export { Batch } from "./batches/batch.ts";
export { Dispatcher } from "./batches/dispatcher.ts";
export { Hooks } from "./hooks/hooks.ts";
export { Notifier } from "./notify/notifier.ts";
export { RegisterObject as Register } from "./register/register.ts";

export default handlersOf(createApp(checkKernel));
