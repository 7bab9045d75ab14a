import { Hono } from "hono";
import { authenticate, bearerOf } from "../auth/authenticate.ts";
import { ANYONE, mayDo, type Principal } from "../auth/principal.ts";
import { boundaryOf } from "../blobs/multipart.ts";
import { admitUpload } from "../create-job.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import type { JobView } from "../runner/record.ts";
import { type PageApi, refusalOf } from "./api.ts";
import {
  type AppContext,
  localAddress,
  type PageStatus,
  page,
  principalOf,
  problem,
  type Visits,
  visitorOf,
} from "./frame.tsx";
import { formLike, type JobOrder, orderOf, readJobForm } from "./job-form.ts";
import type { Visitor } from "./layout.tsx";
import { EMPTY_FORM, type JobForm, NewJob } from "./new-job.tsx";
import {
  actAs,
  beginSession,
  demandSameOrigin,
  endSession,
  makeLoginSecret,
  useLoginSecret,
} from "./session.ts";
import { Login, LoginLink } from "./simple.tsx";

const LOGIN_FORM_BYTES = 4096;

/** What is sent from pages: new jobs, what is to be canceled, logins. All of it only from pages of this worker. */
export function formRoutes(visited: Visits): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get(
    "/new",
    visited(async ({ context, api, visitor, principal }) => {
      demandRun(principal);
      const like = context.req.query("like");
      const form =
        like !== undefined && /^[0-9a-f]{32}$/.test(like)
          ? formLike(await api.get<JobView>(`/jobs/${like}`))
          : EMPTY_FORM;
      return await newJobPage(context, api, visitor, form);
    }),
  );
  app.post(
    "/new",
    visited(async ({ context, api, visitor, principal }) => {
      demandSameOrigin(context.req.raw);
      demandRun(principal);
      const boundary = boundaryOf(context.req.header("content-type") ?? "");
      const { body } = context.req.raw;
      if (boundary === undefined || body === null)
        throw new HttpError(
          415,
          "unsupported-media-type",
          "This address takes the form of GET /new; programs use POST /jobs.",
        );
      const form = await readJobForm(context.env.BLOBS, body, boundary, (blob) =>
        admitUpload(context.env, principal, blob),
      );
      let order: JobOrder;
      try {
        order = orderOf(form);
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        return await newJobPage(context, api, visitor, form, error.message, 400);
      }
      const headers = { "content-type": "application/json" };
      const response = await api.send("/jobs", { method: "POST", headers, body: JSON.stringify(order) });
      if (response.ok) {
        const { id } = (await response.json()) as JobView;
        return context.redirect(`/jobs/${id}`, 303);
      }
      const refusal = await refusalOf(response);
      if (refusal.status >= 500) throw refusal;
      return await newJobPage(context, api, visitor, form, refusal.message, refusal.status as PageStatus);
    }),
  );
  for (const things of ["jobs", "batches"] as const)
    app.post(
      `/${things}/:id{[0-9a-f]+}/cancel`,
      visited(async ({ context, api }) => {
        demandSameOrigin(context.req.raw);
        const address = `/${things}/${context.req.param("id")}`;
        const response = await api.send(address, { method: "DELETE" });
        if (!response.ok) throw await refusalOf(response);
        return context.redirect(address, 303);
      }),
    );

  app.get("/login", async (context) => {
    const principal = await principalOf(context);
    const next = localAddress(context.req.query("next"));
    const children = <Login next={next} />;
    return await page(context, { title: "Log in", section: "none", visitor: visitorOf(principal), children });
  });
  app.post("/login", async (context) => {
    try {
      demandSameOrigin(context.req.raw);
      const form = await shortForm(context.req.raw);
      const next = localAddress(form.get("next") ?? undefined);
      const token = (form.get("token") ?? "").trim();
      // A header takes no other characters.
      if (/^[\x21-\x7e]+$/.test(token)) {
        actAs(context, token);
        if ((await principalOf(context)) !== undefined) {
          await beginSession(context, token);
          return context.redirect(next, 303);
        }
      }
      return await loginRefused(context, next, "This token is not known here, or is no longer valid.");
    } catch (error) {
      return await problem(context, undefined, error);
    }
  });
  /**
   * A link that logs in once: made by POST /login/links with a token. Only the button of its page uses it up: other sites must not
   * log anybody in as somebody else, nor previews of links spend them.
   */
  const loginLink = "/login/:secret{[A-Za-z0-9_-]{43}}";
  app.get(loginLink, async (context) => {
    const principal = await principalOf(context);
    const children = <LoginLink address={context.req.path} />;
    return await page(context, { title: "Log in", section: "none", visitor: visitorOf(principal), children });
  });
  app.post(loginLink, async (context) => {
    try {
      demandSameOrigin(context.req.raw);
      const token = await useLoginSecret(context.env, context.req.param("secret"));
      if (token !== undefined) {
        await beginSession(context, token);
        return context.redirect("/", 303);
      }
      const reason = "This link was used before, or its time is over. Log in with the token.";
      return await loginRefused(context, "/", reason);
    } catch (error) {
      return await problem(context, undefined, error);
    }
  });
  app.post("/login/links", async (context) => {
    await authenticate(context, async () => {});
    const token = bearerOf(context.req.header("authorization"));
    if (token === undefined)
      throw new HttpError(401, "unauthorized", "Send a token in the header: Authorization: Bearer TOKEN.");
    const secret = await makeLoginSecret(context.env, token);
    return context.json({ url: new URL(`/login/${secret}`, context.req.url).href }, 201, {
      "cache-control": "no-store",
    });
  });
  app.post("/logout", async (context) => {
    try {
      demandSameOrigin(context.req.raw);
      await endSession(context);
      return context.redirect("/login", 303);
    } catch (error) {
      return await problem(context, undefined, error);
    }
  });

  return app;
}

async function newJobPage(
  context: AppContext,
  api: PageApi,
  visitor: Visitor,
  form: JobForm,
  said?: string,
  status: PageStatus = 200,
): Promise<Response> {
  const { fixtures } = await api.get<{ fixtures: { name: string }[] }>("/fixtures");
  const names = fixtures.map(({ name }) => name);
  const children = <NewJob form={form} fixtures={names} problem={said} />;
  return await page(context, { title: "New job", section: "new", visitor, children }, status);
}

/** The page to log in again, with what was wrong. */
function loginRefused(context: AppContext, next: string, reason: string): Promise<Response> {
  const children = <Login next={next} problem={reason} />;
  const visitor = visitorOf(undefined);
  return page(context, { title: "Log in", section: "none", visitor, children }, 401);
}

function demandRun(principal: Principal): void {
  if (mayDo(principal, "run")) return;
  if (principal.tokenId === ANYONE)
    throw new HttpError(401, "unauthorized", "Log in with a token to start jobs.");
  throw new HttpError(
    403,
    "wrong-scope",
    'Starting a job needs a token with the scope "run"; log in with one.',
  );
}

/** A form of a few short fields. */
async function shortForm(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get("content-type") ?? "";
  const length = Number(request.headers.get("content-length") ?? Number.NaN);
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type) || !(length <= LOGIN_FORM_BYTES))
    throw new HttpError(415, "unsupported-media-type", "This address takes the login form.");
  return new URLSearchParams(new TextDecoder().decode(await request.arrayBuffer()));
}
