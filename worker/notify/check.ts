import type { Notification } from "../../jobs/spec.ts";
import type { Env } from "../env.ts";
import { HttpError } from "../errors.ts";
import { checkAddress, RefusedAddress } from "./address.ts";
import { exemptOf } from "./guarded-fetch.ts";
import { DEFAULT_SECRET, findSecret } from "./secrets.ts";

/**
 * Whether those whom a job names can be told at all, so that whoever posts it learns it at once.
 *
 * @param field what messages call the list, such as "config.notify"
 * @throws HttpError 422 for an address that nothing is sent to, or a secret that is not there
 */
export async function checkNotify(
  env: Env,
  owner: string,
  notify: readonly Notification[],
  field = "config.notify",
): Promise<void> {
  const exempt = exemptOf(env);
  for (const [index, { url, secret = null }] of notify.entries()) {
    const path = `${field}[${index}]`;
    try {
      checkAddress(url, exempt);
    } catch (error) {
      if (!(error instanceof RefusedAddress)) throw error;
      throw new HttpError(422, "refused-url", `${path}.url: nothing is sent there: ${error.message}.`, {
        field: `${path}.url`,
      });
    }
    if ((await findSecret(env, owner, secret)) !== undefined) continue;
    const name = secret ?? DEFAULT_SECRET;
    throw new HttpError(
      422,
      "no-secret",
      `${path}.secret: events are signed, and no secret "${name}" is stored for this token; make one with PUT /webhook-secrets/${name}.`,
      { field: `${path}.secret` },
    );
  }
}
