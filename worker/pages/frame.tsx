import type { Context } from "hono";
import { accepts } from "hono/accepts";
import { authenticate } from "../auth/authenticate.ts";
import { ANYONE, mayDo, type Principal } from "../auth/principal.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import { logEvent } from "../log.ts";
import { ApiRefusal, type ApiServer, PageApi } from "./api.ts";
import { PAGE_HEADERS } from "./headers.ts";
import { Page, type PageProps, type Visitor } from "./layout.tsx";
import { comeAgain, Problem } from "./simple.tsx";

/* What all pages have in common: who looks at them, what is around them, what becomes of errors. */

export type AppContext = Context<AppEnv>;
export type PageStatus = 200 | 400 | 401 | 403 | 404 | 409 | 413 | 415 | 422 | 429 | 500;

const PAGE_TYPE = "text/html";
const NEGOTIATED = {
  header: "Accept",
  supports: ["application/json", PAGE_TYPE],
  default: "application/json",
} as const;

/** Whether the visitor is a browser that looks at a page; programs that ask for nothing in particular get JSON. */
export const wantsPage = (context: AppContext): boolean =>
  accepts(context, { ...NEGOTIATED, supports: [...NEGOTIATED.supports] }) === PAGE_TYPE;

/** Who is there; undefined for nobody. */
export async function principalOf(context: AppContext): Promise<Principal | undefined> {
  try {
    await authenticate(context, async () => {});
    return context.var.principal;
  } catch (error) {
    if (error instanceof HttpError && error.status === 401) return undefined;
    throw error;
  }
}

export const visitorOf = (principal: Principal | undefined): Visitor => ({
  name: principal === undefined || principal.tokenId === ANYONE ? undefined : principal.name,
  mayRun: principal !== undefined && mayDo(principal, "run"),
});

/** An address within this worker, or the first page. */
export function localAddress(text: string | undefined): string {
  if (text === undefined || !/^\/(?![/\\])[\x21-\x7e]*$/.test(text)) return "/";
  const { pathname, search, host } = new URL(text, "http://here");
  return host === "here" ? pathname + search : "/";
}

/** What was asked for, within this worker; a part of a page is no page. */
function addressIn(context: AppContext): string {
  const url = new URL(context.req.url);
  if (url.searchParams.has("part")) url.searchParams.delete("part");
  return localAddress(url.pathname + url.search);
}

/** The login that leads back to an address; from itself it leads to the first page. */
const loginFor = (address: string): string =>
  /^\/(login\b|$)/.test(address) ? "/login" : `/login?next=${encodeURIComponent(address)}`;

/** What a page handler needs. */
export interface Visit {
  readonly context: AppContext;
  readonly api: PageApi;
  readonly principal: Principal;
  readonly visitor: Visitor;
}

/** A page as an answer. */
export async function page(
  context: AppContext,
  props: Omit<PageProps, "login">,
  status: PageStatus = 200,
): Promise<Response> {
  const login = context.req.method === "GET" ? loginFor(addressIn(context)) : "/login";
  return context.html(String(await (<Page {...props} login={login} />)), status, PAGE_HEADERS);
}

/** An error as a page. */
export async function problem(
  context: AppContext,
  principal: Principal | undefined,
  error: unknown,
): Promise<Response> {
  const known = error instanceof ApiRefusal || error instanceof HttpError;
  if (!known)
    logEvent("page.failed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  const status = known ? error.status : 500;
  const message = known ? error.message : "The worker failed to make this page; it has been logged.";
  return await page(
    context,
    {
      title: "Problem",
      section: "none",
      visitor: visitorOf(principal),
      children: <Problem status={status} message={message} />,
    },
    status as PageStatus,
  );
}

/** A link on another site: the browser has kept its cookie back, and sends it when the page itself leads here. */
const fromElsewhere = (context: AppContext): boolean =>
  context.req.header("sec-fetch-site") === "cross-site" && context.req.method === "GET";

function onceMore(context: AppContext): Response {
  const address = addressIn(context).replace(/[&"'<>]/g, (character) => `&#${character.charCodeAt(0)};`);
  return context.html(comeAgain(address), 200, PAGE_HEADERS);
}

/** Sends whoever is not known to the login, and comes back from there. */
export const toLogin = (context: AppContext): Response =>
  fromElsewhere(context) ? onceMore(context) : context.redirect(loginFor(addressIn(context)), 303);

/** Makes handlers of pages that need somebody who may look; what goes wrong is a page, too. `server` is the whole app. */
export const visitsOf =
  (server: ApiServer) =>
  (serve: (visit: Visit) => Promise<Response>) =>
  async (context: AppContext): Promise<Response> => {
    let principal: Principal | undefined;
    try {
      principal = await principalOf(context);
      if (principal === undefined) return toLogin(context);
      // Where everybody may look, this is perhaps not nobody.
      if (principal.tokenId === ANYONE && fromElsewhere(context)) return onceMore(context);
      return await serve({
        context,
        principal,
        visitor: visitorOf(principal),
        api: new PageApi(server, context),
      });
    } catch (error) {
      if ((error instanceof ApiRefusal || error instanceof HttpError) && error.status === 401)
        return toLogin(context);
      return await problem(context, principal, error);
    }
  };

export type Visits = ReturnType<typeof visitsOf>;
