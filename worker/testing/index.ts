/*
 * The worker as Worker tests see it: every route, table and alarm is the product's; kernels are scripts (see
 * scripted-machine.ts), so that a test can have a guest that floods, waits, or breaks the machine.
 */
import { LoadError } from "../../engine/loader/errors.ts";
import type { ByteSource } from "../../engine/loader/source.ts";
import { createApp } from "../app.ts";
import { handlersOf } from "../handlers.ts";
import { checkKernel } from "../kernel-check.ts";
import type { Engine } from "../runner/engine.ts";
import { JobRunnerObject } from "../runner/job-runner.ts";
import { TEST_BOUNDS } from "./bounds.ts";
import { SCRIPTED, statedInScript } from "./scripted-machine.ts";

const ENGINE: Engine = {
  factory: SCRIPTED,
  inspect: inspectScript,
  statedMachine: statedInScript,
  parts: {
    // The scripted machine needs no core.
    core: undefined as unknown as WebAssembly.Module,
    emu64: new Uint8Array(0),
  },
  isLoadError: (error) => error instanceof LoadError,
};

export class JobRunner extends JobRunnerObject {
  protected override readonly engine = ENGINE;
  protected override readonly bounds = TEST_BOUNDS;
}

/** As the product's check is made: by an object of its own. */
async function inspectScript(kernel: ByteSource): Promise<{ readonly bits: 64 }> {
  const [first] = await kernel.read(0, 1);
  if (first === "{".charCodeAt(0)) return { bits: 64 };
  throw new LoadError({ code: "not-a-kernel", what: "this is no script", remedy: "Send a script" });
}

export { Batch } from "../batches/batch.ts";
export { Dispatcher } from "../batches/dispatcher.ts";
export { Hooks } from "../hooks/hooks.ts";
export { Notifier } from "../notify/notifier.ts";
export { RegisterObject as Register } from "../register/register.ts";

export default handlersOf(createApp(checkKernel));
