import { JOB_STATES } from "../../jobs/states.ts";
import { VERDICTS } from "../../jobs/verdict.ts";
import type { BatchView } from "../batches/record.ts";
import type { JobSummary } from "../database/jobs.ts";
import { Verdict } from "./badge.tsx";
import { BatchList } from "./batches.tsx";
import { ago, instant, seconds, si, visible } from "./format.ts";

/** What the list is narrowed to; the query's parameters are called the same. */
export interface JobFilters {
  readonly state?: string;
  readonly verdict?: string;
  readonly label?: string;
  readonly text?: string;
  readonly batch?: string;
}

export const FILTER_NAMES = ["state", "verdict", "label", "text", "batch"] as const;

const LIVE: ReadonlySet<string> = new Set(["queued", "building", "running"]);

export interface JobsProps {
  readonly jobs: readonly JobSummary[];
  readonly next: string | null;
  readonly filters: JobFilters;
  readonly batches: readonly BatchView[];
  readonly now: number;
  /** What the API said about the filters. */
  readonly problem?: string | undefined;
}

export function queryOf(filters: JobFilters, more: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams({ ...filters, ...more }).toString();
  return query === "" ? "/" : `/?${query}`;
}

export function Jobs({ jobs, next, filters, batches, now, problem }: JobsProps) {
  const filtered = Object.keys(filters).length > 0;
  const live = jobs.some(({ state }) => LIVE.has(state)) || batches.some(({ state }) => state !== "ended");
  return (
    <>
      <h1>Jobs</h1>
      <Filters filters={filters} />
      {problem !== undefined && (
        <p class="error" role="alert">
          {visible(problem)}
        </p>
      )}
      <div id="list" data-live={live ? "1" : "0"}>
        {batches.length > 0 && (
          <section aria-labelledby="recent-title">
            <h2 id="recent-title">Latest batches</h2>
            <BatchList batches={batches} now={now} />
          </section>
        )}
        {jobs.length === 0 ? (
          <p class="notice">
            {filtered ? (
              <>
                No job is like that. <a href="/">Show all</a>
              </>
            ) : (
              <>
                There are no jobs yet. <a href="/new">Start one</a>
              </>
            )}
          </p>
        ) : (
          <JobTable jobs={jobs} now={now} />
        )}
      </div>
      {next !== null && (
        <p>
          <a href={queryOf(filters, { cursor: next })}>Older jobs</a>
        </p>
      )}
    </>
  );
}

function Filters({ filters }: { readonly filters: JobFilters }) {
  const option = (value: string, chosen: string | undefined) => (
    <option value={value} selected={value === chosen}>
      {value}
    </option>
  );
  return (
    <search aria-label="Filter jobs">
      <form class="filters" method="get" action="/">
        <div>
          <label for="filter-state">State</label>
          <select id="filter-state" name="state">
            <option value="">any</option>
            {JOB_STATES.map((state) => option(state, filters.state))}
          </select>
        </div>
        <div>
          <label for="filter-verdict">Verdict</label>
          <select id="filter-verdict" name="verdict">
            <option value="">any</option>
            {VERDICTS.map((verdict) => option(verdict, filters.verdict))}
          </select>
        </div>
        <div>
          <label for="filter-label">Label</label>
          <input
            id="filter-label"
            name="label"
            placeholder="branch=main"
            value={filters.label ?? ""}
            maxlength={300}
          />
        </div>
        <div>
          <label for="filter-text">Text</label>
          <input id="filter-text" name="text" type="search" value={filters.text ?? ""} maxlength={200} />
        </div>
        {filters.batch !== undefined && <input type="hidden" name="batch" value={filters.batch} />}
        <button type="submit">Filter</button>
        {Object.keys(filters).length > 0 && <a href="/">Clear</a>}
      </form>
    </search>
  );
}

/** Jobs, two of which can be chosen to be compared. */
export function JobTable({ jobs, now }: { readonly jobs: readonly JobSummary[]; readonly now: number }) {
  return (
    <form method="get" action="/compare">
      <section class="scroll" tabindex={0} aria-label="Table of jobs">
        <table class="jobs">
          <thead>
            <tr>
              <th scope="col">Compare</th>
              <th scope="col">Job</th>
              <th scope="col">Verdict</th>
              <th scope="col" class="number">
                Instructions
              </th>
              <th scope="col" class="number">
                Guest time
              </th>
              <th scope="col">Created</th>
            </tr>
          </thead>
          <tbody>
            {jobs.map((job) => (
              <JobRow job={job} now={now} />
            ))}
          </tbody>
        </table>
      </section>
      <p>
        <button type="submit">Compare two</button>
      </p>
    </form>
  );
}

function JobRow({ job, now }: { readonly job: JobSummary; readonly now: number }) {
  const name = visible(job.labels.name ?? job.fixture ?? job.kernel.slice(0, 12));
  // The index hears of these when the job ends.
  const isUnknown = LIVE.has(job.state) && job.instructions === 0;
  return (
    <tr>
      <td>
        <input
          type="checkbox"
          name="job"
          value={job.id}
          aria-label={`Compare ${name} ${job.id.slice(0, 8)}`}
        />
      </td>
      <td>
        <a class="name" href={`/jobs/${job.id}`}>
          <bdi>{name}</bdi>
        </a>{" "}
        <span class="soft">{job.id.slice(0, 8)}</span>
        <span class="cmdline">{job.reason === null ? visible(job.cmdline) : visible(job.reason)}</span>
      </td>
      <td>
        <Verdict verdict={job.verdict} state={job.state} />
      </td>
      <td class="number wide-only">{isUnknown ? "–" : si(job.instructions)}</td>
      <td class="number wide-only">{isUnknown ? "–" : seconds(job.guestSeconds)}</td>
      <td class="wide-only">
        <time datetime={job.createdAt} title={instant(job.createdAt)}>
          {ago(job.createdAt, now)}
        </time>
      </td>
    </tr>
  );
}
