import type { Env } from "../env.ts";
import type { Dispatcher } from "./dispatcher.ts";

/** The one dispatcher. Apart from its class, so that whoever asks it can be loaded outside of workerd, too. */
export const dispatcherOf = ({ DISPATCHER }: Env): DurableObjectStub<Dispatcher> =>
  DISPATCHER.getByName("dispatcher");
