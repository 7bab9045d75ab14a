import type { JobEventConsumer } from "../events/event.ts";
import { registerOf } from "./stub.ts";

/** Tells the register what a job took. */
export const accountJobEvent: JobEventConsumer = async (env, event) => {
  await registerOf(env).heard(event);
};
