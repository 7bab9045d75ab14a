import { visible } from "./format.ts";

/** Where a visitor says who he is. `next` is the page he wanted. */
export function Login({ next, problem }: { readonly next: string; readonly problem?: string | undefined }) {
  return (
    <>
      <h1>Log in</h1>
      {problem !== undefined && (
        <p class="error" role="alert" id="problem">
          {visible(problem)}
        </p>
      )}
      <form class="form" method="post" action="/login">
        <input type="hidden" name="next" value={next} />
        <div class="field">
          <label for="token">Token</label>
          <input
            id="token"
            name="token"
            type="password"
            required
            autocomplete="current-password"
            maxlength={400}
            aria-describedby="token-hint"
          />
          <span class="hint" id="token-hint">
            The one you send in the header Authorization, too. The browser keeps a cookie in its place for 30
            days.
          </span>
        </div>
        <p>
          <button type="submit" class="primary">
            Log in
          </button>
        </p>
      </form>
    </>
  );
}

/** What a link that logs in once leads to; `address` is the link's own. */
export function LoginLink({ address }: { readonly address: string }) {
  return (
    <>
      <h1>Log in</h1>
      <p>
        This link logs this browser in with the token that made it, once. Go on only if you asked for it
        yourself.
      </p>
      <form method="post" action={address}>
        <button type="submit" class="primary">
          Log in here
        </button>
      </form>
    </>
  );
}

/** Something went wrong, or is not there. */
export function Problem({ status, message }: { readonly status: number; readonly message: string }) {
  const title =
    status === 404
      ? "Not found"
      : status === 403
        ? "Not allowed"
        : status >= 500
          ? "Something is broken here"
          : "That did not work";
  return (
    <>
      <h1>{title}</h1>
      <p class="error" role="alert">
        {visible(message)}
      </p>
      <p>
        <a href="/">All jobs</a>
      </p>
    </>
  );
}

/** Asks the browser to come again, now from a page of this worker: only then does it send its cookie (SameSite=Strict). */
export const comeAgain = (address: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>xenner</title><meta http-equiv="refresh" content="0;url=${address}"></head><body><p><a href="${address}">Go on</a></p></body></html>`;
