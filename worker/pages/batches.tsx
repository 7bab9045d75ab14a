import type { MemberView } from "../batches/member.ts";
import type { BatchView } from "../batches/record.ts";
import { isKnownVerdict, Verdict } from "./badge.tsx";
import { axesOf, type Grid, gridOf, shownValue } from "./batch-grid.ts";
import { ago, grouped, instant, percent, seconds, si, visible } from "./format.ts";
import { REPORTS } from "./job.tsx";

const nameOf = ({ name, id }: BatchView): string => visible(name ?? id.slice(0, 8));

/** Batches, a line each. */
export function BatchList({
  batches,
  now,
}: {
  readonly batches: readonly BatchView[];
  readonly now: number;
}) {
  return (
    <ul class="plain">
      {batches.map((batch) => (
        <li>
          <BatchLine batch={batch} now={now} />
        </li>
      ))}
    </ul>
  );
}

/** A batch in one line. */
function BatchLine({ batch, now }: { readonly batch: BatchView; readonly now: number }) {
  return (
    <>
      <Verdict verdict={batch.verdict} state={batch.state === "ended" ? "canceled" : batch.state} />{" "}
      <a href={`/batches/${batch.id}`}>
        <bdi>{nameOf(batch)}</bdi>
      </a>{" "}
      <span class="soft">
        {grouped(batch.jobs.ended)} of {grouped(batch.jobs.total)} jobs ended, {ago(batch.createdAt, now)}
      </span>
    </>
  );
}

/** What a batch's page tells of those that went wrong; each job's own page says more. */
const PROBLEMS = 20;
const NO_PROBLEM: ReadonlySet<string> = new Set(["pass", "skip", "canceled"]);
const BATCH_STATES = ["queued", "running", "ended"] as const;

export function Batches(props: {
  readonly batches: readonly BatchView[];
  readonly next: string | null;
  /** The only state that is shown; undefined for all. */
  readonly state: string | undefined;
  readonly now: number;
}) {
  const { batches, next, state, now } = props;
  const live = batches.some(({ state }) => state !== "ended");
  return (
    <>
      <h1>Batches</h1>
      <search aria-label="Filter batches">
        <form class="filters" method="get" action="/batches">
          <div>
            <label for="filter-state">State</label>
            <select id="filter-state" name="state">
              <option value="">any</option>
              {BATCH_STATES.map((name) => (
                <option value={name} selected={name === state}>
                  {name}
                </option>
              ))}
            </select>
          </div>
          <button type="submit">Filter</button>
          {state !== undefined && <a href="/batches">Clear</a>}
        </form>
      </search>
      <div id="list" data-live={live ? "1" : "0"}>
        {batches.length === 0 ? (
          <p class="notice">
            {state === undefined ? (
              "There are no batches. POST /batches makes one: a matrix of kernels, command lines, memory sizes."
            ) : (
              <>
                No batch is like that. <a href="/batches">Show all</a>
              </>
            )}
          </p>
        ) : (
          <BatchList batches={batches} now={now} />
        )}
      </div>
      {next !== null && (
        <p>
          <a
            href={`/batches?${new URLSearchParams({ ...(state === undefined ? {} : { state }), cursor: next })}`}
          >
            Older batches
          </a>
        </p>
      )}
    </>
  );
}

export interface BatchProps {
  readonly batch: BatchView;
  readonly members: readonly MemberView[];
  /** Whether there are more members than these. */
  readonly next: string | null;
  readonly mayChange: boolean;
  readonly now: number;
}

/** A batch: how far it is, and its jobs as a grid. */
export function Batch({ batch, members, next, mayChange, now }: BatchProps) {
  const live = batch.state !== "ended";
  const grid = gridOf(members);
  return (
    <div id="batch" data-live={live ? "1" : "0"}>
      <section aria-labelledby="batch-title">
        <div class="bar">
          <h1 id="batch-title">
            <bdi>{nameOf(batch)}</bdi>
          </h1>
          <Verdict verdict={batch.verdict} state={batch.state === "ended" ? "canceled" : batch.state} />
          {live && mayChange && (
            <form method="post" action={`/batches/${batch.id}/cancel`}>
              <button type="submit">Cancel all</button>
            </form>
          )}
        </div>
        <p role="status">
          {grouped(batch.jobs.ended)} of {grouped(batch.jobs.total)} jobs have ended (
          {percent(batch.progress)}), {grouped(batch.jobs.running)} run, {grouped(batch.jobs.waiting)} wait.
        </p>
        <VerdictBar batch={batch} />
        <dl class="facts">
          <div>
            <dt>Instructions</dt>
            <dd>{si(batch.instructions)}</dd>
          </div>
          <div>
            <dt>Wall time</dt>
            <dd>{seconds(batch.seconds)}</dd>
          </div>
          <div>
            <dt>Created</dt>
            <dd title={instant(batch.createdAt)}>{ago(batch.createdAt, now)}</dd>
          </div>
          <div>
            <dt>Reports</dt>
            <dd>
              {REPORTS.map(([file, name]) => (
                <>
                  <a href={`/batches/${batch.id}/${file}`}>{name}</a>,{" "}
                </>
              ))}
              <a href={`/batches/${batch.id}/badge.svg`}>badge</a>,{" "}
              <a href={`/?batch=${batch.id}`}>list of jobs</a>
            </dd>
          </div>
        </dl>
      </section>
      <section aria-labelledby="grid-title">
        <h2 id="grid-title">Jobs</h2>
        {grid === undefined || grid.columnAxis === null ? (
          <Tiles members={members} axis={grid?.rowAxis} />
        ) : (
          <GridTable grid={grid} />
        )}
        {next !== null && (
          <p>
            <a href={`/batches/${batch.id}?cursor=${encodeURIComponent(next)}`}>More jobs of this batch</a>
          </p>
        )}
      </section>
      <Problems members={members} />
    </div>
  );
}

/** Shares of the verdicts, and of what has none yet. */
function VerdictBar({ batch }: { readonly batch: BatchView }) {
  const parts = [
    ...Object.entries(batch.verdicts).map(([verdict, count]) => [verdict, count ?? 0] as const),
    ["not ended", batch.jobs.total - batch.jobs.ended] as const,
  ].filter(([, count]) => count > 0);
  let from = 0;
  return (
    <svg class="progress" role="img" aria-label={parts.map(([word, count]) => `${count} ${word}`).join(", ")}>
      {parts.map(([word, count]) => {
        const x = from;
        const width = (count / Math.max(1, batch.jobs.total)) * 100;
        from += width;
        return (
          <rect
            class={`bar-${isKnownVerdict(word) ? word : "other"}`}
            x={`${x}%`}
            width={`${width}%`}
            height="100%"
          />
        );
      })}
    </svg>
  );
}

/** Why jobs did not pass. One that was refused has no page that would say it. */
function Problems({ members }: { readonly members: readonly MemberView[] }) {
  const problems = members.filter(({ verdict }) => verdict !== null && !NO_PROBLEM.has(verdict));
  if (problems.length === 0) return null;
  return (
    <section aria-labelledby="problems-title">
      <h2 id="problems-title">What went wrong</h2>
      <ul class="plain">
        {problems.slice(0, PROBLEMS).map(({ name, job, verdict, state, reason }) => (
          <li>
            <Verdict verdict={verdict} state={state} />{" "}
            {job === null ? <bdi>{visible(name)}</bdi> : <a href={`/jobs/${job}`}>{visible(name)}</a>}
            {reason !== null && <span class="hint">{visible(reason)}</span>}
          </li>
        ))}
      </ul>
      {problems.length > PROBLEMS && (
        <p>{grouped(problems.length - PROBLEMS)} more of these jobs went wrong.</p>
      )}
    </section>
  );
}

function MemberLink({ member, text }: { readonly member: MemberView; readonly text: string }) {
  const { job, verdict, state, reason } = member;
  const word = verdict ?? (isKnownVerdict(state) ? state : state === "refused" ? "error" : "queued");
  const title = visible(`${member.name}: ${verdict ?? state}${reason === null ? "" : `, ${reason}`}`);
  const content = (
    <>
      <span class="name">{text}</span>{" "}
      <Verdict verdict={null} state={state === "waiting" || state === "starting" ? "queued" : word} />
    </>
  );
  return job === null ? (
    <span title={title}>{content}</span>
  ) : (
    <a class="member" href={`/jobs/${job}`} title={title}>
      {content}
    </a>
  );
}

/** Rows and columns are the values of two axes; of more, the cells have one job for each of the others' values. */
function GridTable({ grid }: { readonly grid: Grid }) {
  return (
    <section class="scroll" tabindex={0} aria-label="Grid of jobs">
      <table class="grid-table">
        <caption>
          {grid.rowAxis} down, {grid.columnAxis} across
          {grid.others.length > 0 && `; in the cells by ${grid.others.join(", ")}`}
        </caption>
        <thead>
          <tr>
            <th scope="col">{grid.rowAxis}</th>
            {grid.columns.map((column) => (
              <th scope="col">
                <bdi>{visible(column)}</bdi>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {grid.rows.map(({ value, cells }) => (
            <tr>
              <th scope="row">
                <bdi>{visible(value)}</bdi>
              </th>
              {cells.map((members) => (
                <td>
                  {members.length === 0 && "–"}
                  <ul class="plain">
                    {members.map((member) => (
                      <li>
                        <MemberLink
                          member={member}
                          text={visible(
                            grid.others.map((axis) => shownValue(axesOf(member)[axis])).join(", "),
                          )}
                        />
                      </li>
                    ))}
                  </ul>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Jobs that have no axes in common, or a single one: a table of one column would be long and empty. */
function Tiles({
  members,
  axis,
}: {
  readonly members: readonly MemberView[];
  readonly axis?: string | undefined;
}) {
  return (
    <>
      {axis !== undefined && <p class="soft">By {axis}:</p>}
      <ul class="tiles">
        {members.map((member) => (
          <li>
            <MemberLink
              member={member}
              text={visible(axis === undefined ? member.name : shownValue(axesOf(member)[axis]))}
            />
          </li>
        ))}
      </ul>
    </>
  );
}
