import { Hono } from "hono";
import type { HypercallStatistics } from "../../engine/machine-api.ts";
import type { Comparison } from "../../jobs/compare/compare.ts";
import type { Ignored } from "../../jobs/compare/consoles.ts";
import { isFinal } from "../../jobs/states.ts";
import { mayDo, type Principal } from "../auth/principal.ts";
import type { MemberView } from "../batches/member.ts";
import type { BatchView } from "../batches/record.ts";
import type { JobSummary } from "../database/jobs.ts";
import type { AppEnv } from "../env.ts";
import { HttpError } from "../errors.ts";
import type { DeliveryView } from "../notify/record.ts";
import type { JobView } from "../runner/record.ts";
import { ApiRefusal, type ApiServer, type PageApi, refusalOf } from "./api.ts";
import { ASSETS } from "./assets.generated.ts";
import { Batch, Batches } from "./batches.tsx";
import { CONTEXT_LINES, Compare, type ComparedJob } from "./compare.tsx";
import { Console } from "./console.tsx";
import { findLines, readLines, readWindow, windowOfLine, windowsOf } from "./console-view.ts";
import { formRoutes } from "./forms.tsx";
import { type AppContext, page, problem, toLogin, type Visit, visitsOf, wantsPage } from "./frame.tsx";
import { ASSET_HEADERS } from "./headers.ts";
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
import { FILTER_NAMES, type JobFilters, Jobs } from "./jobs.tsx";
import { ICON_PATH, SCRIPT_PATH, STYLE_PATH } from "./layout.tsx";
import { type Profile, parsePath } from "./pictures/flame-tree.ts";

const JOBS_PER_PAGE = 50;
const RECENT_BATCHES = 3;
const MEMBERS_PER_PAGE = 1000;
const REFRESH_SECONDS = 5;
const SEARCH_CHARACTERS = 200;

async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  for await (const chunk of response.body ?? []) yield chunk;
}

/** What GET /jobs/:id/comparison says; no comparison if there is nothing to compare with. */
interface ComparisonAnswer {
  readonly ignored: Ignored;
  readonly comparison: Comparison | null;
}

/**
 * The pages: what people see of the worker. They show what the API says (`server` is the whole app), so they need no rights of their
 * own. An address that the API has, too, is a page for whoever asks for text/html and JSON for everybody else.
 */
export function pageRoutes(server: ApiServer): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const visited = visitsOf(server);

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
  app.route("/", formRoutes(visited));

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

/** The filters in the query; empty fields of the form are none. */
function filtersOf(context: AppContext): JobFilters {
  const given = FILTER_NAMES.map((name) => [name, context.req.query(name)] as const).filter(
    ([, value]) => value !== undefined && value !== "",
  );
  return Object.fromEntries(given);
}
