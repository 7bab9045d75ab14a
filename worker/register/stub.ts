import type { Env } from "../env.ts";
import type { RegisterObject } from "./register.ts";

/** The one register of a deployment. */
export function registerOf({ REGISTER }: Pick<Env, "REGISTER">): DurableObjectStub<RegisterObject> {
  return REGISTER.getByName("register");
}
