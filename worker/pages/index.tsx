import { type Context, Hono } from "hono";
import type { HypercallStatistics } from "../../engine/machine-api.ts";
import type { Comparison } from "../../jobs/compare/compare.ts";
import type { Ignored } from "../../jobs/compare/consoles.ts";
import { isFinal } from "../../jobs/states.ts";
import { authenticate } from "../auth/authenticate.ts";
import { ANYONE, mayDo, type Principal } from "../auth/principal.ts";
import type { MemberView } from "../batches/member.ts";
import type { BatchView } from "../batches/record.ts";
import { boundaryOf } from "../blobs/multipart.ts";
import { admitUpload } from "../create-job.ts";
import type { JobSummary } from "../database/jobs.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import type { DeliveryView } from "../notify/record.ts";
import type { JobView } from "../runner/record.ts";
import { ApiRefusal, type ApiServer, PageApi, refusalOf } from "./api.ts";
import { ASSETS } from "./assets.generated.ts";
import { Batch, Batches } from "./batches.tsx";
import { CONTEXT_LINES, Compare, type ComparedJob } from "./compare.tsx";
import { Console } from "./console.tsx";
import { findLines, readLines, readWindow, windowOfLine, windowsOf } from "./console-view.ts";
import { ASSET_HEADERS, PAGE_HEADERS } from "./headers.ts";
import {
  Details,
  Findings,
  type JobPageData,
  type JobReport,
  LastGood,
  nameOfJob,
  Pictures,
  JobSummary as Summary,
} from "./job.tsx";
import { formLike, type JobOrder, orderOf, readJobForm } from "./job-form.ts";
import { FILTER_NAMES, type JobFilters, Jobs } from "./jobs.tsx";
import { ICON_PATH, Page, type PageProps, SCRIPT_PATH, STYLE_PATH, type Visitor } from "./layout.tsx";
import { EMPTY_FORM, type JobForm, NewJob } from "./new-job.tsx";
import { type Profile, parsePath } from "./pictures/flame-tree.ts";
import {
  actAs,
  beginSession,
  demandSameOrigin,
  endSession,
  makeLoginSecret,
  useLoginSecret,
} from "./session.ts";
import { comeAgain, Login, LoginLink, Problem } from "./simple.tsx";

type AppContext = Context<AppEnv>;
type PageStatus = 200 | 400 | 401 | 403 | 404 | 409 | 413 | 415 | 422 | 429 | 500;

const JOBS_PER_PAGE = 50;
const RECENT_BATCHES = 3;
const MEMBERS_PER_PAGE = 1000;
const REFRESH_SECONDS = 5;
const SEARCH_CHARACTERS = 200;
const HTML = /(?:^|,)\s*text\/html\b/i;
const LOGIN_FORM_BYTES = 4096;

/** Whether the visitor is a browser that looks at a page; programs that ask for nothing in particular get JSON. */
const wantsPage = (context: AppContext): boolean => HTML.test(context.req.header("accept") ?? "");

/** Who is there; undefined for nobody. */
async function principalOf(context: AppContext): Promise<Principal | undefined> {
  try {
    await authenticate(context, async () => {});
    return context.var.principal;
  } catch (error) {
    if (error instanceof HttpError && error.status === 401) return undefined;
    throw error;
  }
}

const visitorOf = (principal: Principal | undefined): Visitor => ({
  name: principal === undefined || principal.tokenId === ANYONE ? undefined : principal.name,
  mayRun: principal !== undefined && mayDo(principal, "run"),
});

/** An address within this worker, or the first page. */
function localAddress(text: string | undefined): string {
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

async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  for await (const chunk of response.body ?? []) yield chunk;
}

/** What GET /jobs/:id/comparison says; no comparison if there is nothing to compare with. */
interface ComparisonAnswer {
  readonly ignored: Ignored;
  readonly comparison: Comparison | null;
}

/** What a page handler needs. */
interface Visit {
  readonly context: AppContext;
  readonly api: PageApi;
  readonly principal: Principal;
  readonly visitor: Visitor;
}

/**
 * The pages: what people see of the worker. They show what the API says (`server` is the whole app), so they need no rights of their
 * own. An address that the API has, too, is a page for whoever asks for text/html and JSON for everybody else.
 */
export function pageRoutes(server: ApiServer): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  async function page(
    context: AppContext,
    props: Omit<PageProps, "login">,
    status: PageStatus = 200,
  ): Promise<Response> {
    const login = context.req.method === "GET" ? loginFor(addressIn(context)) : "/login";
    return context.html(String(await (<Page {...props} login={login} />)), status, PAGE_HEADERS);
  }

  async function problem(
    context: AppContext,
    principal: Principal | undefined,
    error: unknown,
  ): Promise<Response> {
    const known = error instanceof ApiRefusal || error instanceof HttpError;
    if (!known) console.error(error);
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
  const toLogin = (context: AppContext): Response =>
    fromElsewhere(context) ? onceMore(context) : context.redirect(loginFor(addressIn(context)), 303);

  /** A page that needs somebody who may look; what goes wrong is a page, too. */
  const visited =
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

  /** Only for browsers; everybody else gets what comes behind. */
  const negotiated =
    (serve: (context: AppContext) => Promise<Response>) =>
    async (context: AppContext, next: () => Promise<void>) => {
      if (wantsPage(context)) return await serve(context);
      await next();
    };

  // What the API refuses a browser that was led to one of its addresses, or to none: people read pages.
  app.use("*", async (context, next) => {
    await next();
    const { status, headers } = context.res;
    const isJson = headers.get("content-type")?.startsWith("application/json") === true;
    if (context.req.method !== "GET" || !isJson || !wantsPage(context)) return;
    if (status !== 401 && status !== 404) return;
    const principal = context.get("principal") as Principal | undefined;
    const answer =
      status === 401 ? toLogin(context) : await problem(context, principal, await refusalOf(context.res));
    // Headers of the old answer would be put on the new one.
    context.res = undefined;
    context.res = answer;
  });

  for (const [path, type, body] of [
    [SCRIPT_PATH, "text/javascript; charset=utf-8", ASSETS.script],
    [STYLE_PATH, "text/css; charset=utf-8", ASSETS.style],
    [ICON_PATH, "image/svg+xml", ASSETS.icon],
  ] as const)
    app.get(path, (context) => context.body(body, 200, { ...ASSET_HEADERS, "content-type": type }));
  app.get("/favicon.ico", (context) => context.redirect(ICON_PATH, 301));

  app.get(
    "/",
    visited(async ({ context, api, visitor }) => {
      const filters = filtersOf(context);
      const query = new URLSearchParams({ ...filters, limit: String(JOBS_PER_PAGE) });
      const cursor = context.req.query("cursor");
      if (cursor !== undefined) query.set("cursor", cursor);
      const list = await api
        .get<{ jobs: JobSummary[]; next: string | null }>(`/jobs?${query}`)
        .catch((error: unknown) => {
          if (error instanceof ApiRefusal && error.status === 400) return error;
          throw error;
        });
      const refused = list instanceof ApiRefusal;
      const first = cursor === undefined && Object.keys(filters).length === 0;
      const recent = first
        ? await api.find<{ batches: BatchView[] }>(`/batches?limit=${RECENT_BATCHES}`)
        : undefined;
      const jobs = refused ? [] : list.jobs;
      return await page(context, {
        title: "Jobs",
        section: "jobs",
        visitor,
        refresh: jobs.some(({ endedAt }) => endedAt === null) ? REFRESH_SECONDS : undefined,
        children: (
          <Jobs
            jobs={jobs}
            next={refused ? null : list.next}
            filters={filters}
            batches={recent?.batches ?? []}
            now={Date.now()}
            problem={refused ? list.message : undefined}
          />
        ),
      });
    }),
  );
  app.get(
    "/jobs",
    negotiated(async (context) => context.redirect(`/${new URL(context.req.url).search}`, 302)),
  );
  app.get("/jobs/:id{[0-9a-f]+}", negotiated(visited(jobPage)));
  app.get(
    "/batches",
    negotiated(
      visited(async ({ context, api, visitor }) => {
        const cursor = context.req.query("cursor");
        // The form's "any" is no state.
        const state = context.req.query("state") || undefined;
        const query = new URLSearchParams({
          ...(state === undefined ? {} : { state }),
          ...(cursor === undefined ? {} : { cursor }),
        });
        const { batches, next } = await api.get<{ batches: BatchView[]; next: string | null }>(
          `/batches?${query}`,
        );
        return await page(context, {
          title: "Batches",
          section: "batches",
          visitor,
          refresh: batches.some(({ state }) => state !== "ended") ? REFRESH_SECONDS : undefined,
          children: <Batches batches={batches} next={next} state={state} now={Date.now()} />,
        });
      }),
    ),
  );
  app.get(
    "/batches/:id{[0-9a-f]+}",
    negotiated(
      visited(async ({ context, api, visitor, principal }) => {
        const id = context.req.param("id") ?? "";
        const cursor = context.req.query("cursor");
        const query = new URLSearchParams({
          limit: String(MEMBERS_PER_PAGE),
          ...(cursor === undefined ? {} : { cursor }),
        });
        const [batch, members] = await Promise.all([
          api.get<BatchView>(`/batches/${id}`),
          api.get<{ jobs: MemberView[]; next: string | null }>(`/batches/${id}/jobs?${query}`),
        ]);
        return await page(context, {
          title: batch.name ?? "Batch",
          section: "batches",
          visitor,
          refresh: batch.state === "ended" ? undefined : REFRESH_SECONDS,
          children: (
            <Batch
              batch={batch}
              members={members.jobs}
              next={members.next}
              mayChange={
                mayDo(principal, "run") &&
                (principal.tokenId === batch.owner || principal.scopes.has("admin"))
              }
              now={Date.now()}
            />
          ),
        });
      }),
    ),
  );
  app.get("/compare", visited(comparePage));

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
      const children = <Login next={next} problem="This token is not known here, or is no longer valid." />;
      return await page(
        context,
        { title: "Log in", section: "none", visitor: visitorOf(undefined), children },
        401,
      );
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
      const children = (
        <Login next="/" problem="This link was used before, or its time is over. Log in with the token." />
      );
      return await page(
        context,
        { title: "Log in", section: "none", visitor: visitorOf(undefined), children },
        401,
      );
    } catch (error) {
      return await problem(context, undefined, error);
    }
  });
  app.post("/login/links", async (context) => {
    await authenticate(context, async () => {});
    const [, token] = (context.req.header("authorization") ?? "").split(" ", 2);
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

  async function jobPage({ context, api, visitor, principal }: Visit): Promise<Response> {
    const id = context.req.param("id") ?? "";
    const self = `/jobs/${id}`;
    const job = await api.get<JobView>(self);
    const ended = isFinal(job.state);
    const [hypercalls, reports, comparison, profile] = await Promise.all([
      api.find<HypercallStatistics>(`${self}/hypercalls`),
      ended ? api.find<{ jobs: JobReport[] }>(`${self}/report.json`) : undefined,
      ended ? api.find<ComparisonAnswer>(`${self}/comparison`) : undefined,
      ended ? api.find<Profile>(`${self}/profile`) : undefined,
    ]);
    const compared = comparison?.comparison ?? undefined;
    const good = compared === undefined ? undefined : await api.find<JobView>(`/jobs/${compared.good}`);
    const report = reports?.jobs[0];
    const part = context.req.query("part") === "live";
    const mayChange =
      mayDo(principal, "run") && (principal.tokenId === job.owner || principal.scopes.has("admin"));
    const told =
      part || !mayChange ? undefined : await api.find<{ deliveries: DeliveryView[] }>(`${self}/deliveries`);
    const data: JobPageData = {
      job,
      report,
      hypercalls,
      comparison: compared,
      good,
      profile: Array.isArray(profile?.frames) ? profile : undefined,
      zoom: parsePath(context.req.query("zoom")),
      deliveries: told?.deliveries ?? [],
      mayChange,
      now: Date.now(),
    };
    return await page(context, {
      title: nameOfJob(job),
      section: "jobs",
      visitor,
      refresh: ended ? undefined : REFRESH_SECONDS,
      children: (
        <>
          <Summary {...data} />
          <Findings {...data} />
          <LastGood {...data} />
          {!part && (await consolePart(context, api, data))}
          <Pictures {...data} />
          {!part && <Details {...data} />}
        </>
      ),
    });
  }

  async function consolePart(context: AppContext, api: PageApi, { job, report }: JobPageData) {
    const address = `/jobs/${job.id}/console`;
    const read = async (offset = 0): Promise<AsyncGenerator<Uint8Array>> => {
      const response = await api.send(`${address}?offset=${offset}`);
      if (!response.ok) throw await refusalOf(response);
      return chunksOf(response);
    };
    const events = report?.events ?? [];
    const marked = new Set(events.map(({ line }) => line));
    const starts = await windowsOf(await read());
    const asked = Number(context.req.query("line") ?? 0);
    const last = starts.length - 1;
    const first = events[0]?.line;
    const index =
      asked > 0 ? windowOfLine(starts, asked) : first === undefined ? last : windowOfLine(starts, first);
    const window = await readWindow(await read(starts[index]?.offset), starts, index);
    const text = context.req.query("q")?.slice(0, SEARCH_CHARACTERS) ?? "";
    const search = text === "" ? undefined : { text, ...(await findLines(await read(), text)) };
    return (
      <Console
        jobId={job.id}
        live={!isFinal(job.state)}
        consoleBytes={job.consoleBytes}
        window={window}
        marked={marked}
        search={search}
      />
    );
  }

  async function comparePage({ context, api, visitor }: Visit): Promise<Response> {
    const ids = context.req.queries("job") ?? [];
    if (ids.length !== 2 || ids.some((id) => !/^[0-9a-f]{32}$/.test(id)))
      throw new HttpError(
        400,
        "not-two",
        "Choose exactly two jobs to compare, by the boxes in the list of jobs.",
      );
    const [before = "", now = ""] = ids;
    const ignore = context.req.query("ignore");
    const query = new URLSearchParams({ with: before, ...(ignore === undefined ? {} : { ignore }) });
    const answer = await api.get<ComparisonAnswer>(`/jobs/${now}/comparison?${query}`);
    const { comparison } = answer;
    if (comparison === null) throw new HttpError(404, "no-job", "There is no such job.");
    const line = comparison.console?.line;
    const side = async (id: string): Promise<ComparedJob> => {
      const job = await api.get<JobView>(`/jobs/${id}`);
      if (line === undefined) return { job, lines: [] };
      const response = await api.send(`/jobs/${id}/console`);
      if (!response.ok) throw await refusalOf(response);
      return { job, lines: await readLines(chunksOf(response), line - CONTEXT_LINES, line + CONTEXT_LINES) };
    };
    const sides = { before: await side(before), now: await side(now) };
    const children = <Compare comparison={comparison} ignored={answer.ignored} {...sides} />;
    return await page(context, { title: "Comparison", section: "jobs", visitor, children });
  }

  return app;
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

/** The filters in the query; empty fields of the form are none. */
function filtersOf(context: AppContext): JobFilters {
  const given = FILTER_NAMES.map((name) => [name, context.req.query(name)] as const).filter(
    ([, value]) => value !== undefined && value !== "",
  );
  return Object.fromEntries(given);
}

/** A form of a few short fields. */
async function shortForm(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get("content-type") ?? "";
  const length = Number(request.headers.get("content-length") ?? Number.NaN);
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type) || !(length <= LOGIN_FORM_BYTES))
    throw new HttpError(415, "unsupported-media-type", "This address takes the login form.");
  return new URLSearchParams(await request.text());
}
