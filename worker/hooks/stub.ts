import type { Env } from "../env.ts";
import type { Hooks } from "./hooks.ts";

/** The one object of a deployment that knows its hooks. */
export function hooksOf({ HOOKS }: Pick<Env, "HOOKS">): DurableObjectStub<Hooks> {
  return HOOKS.getByName("hooks");
}
