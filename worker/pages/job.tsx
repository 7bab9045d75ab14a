import type { Child } from "hono/jsx";
import type { HypercallStatistics } from "../../engine/machine-api.ts";
import type { Comparison } from "../../jobs/compare/compare.ts";
import type { KernelEvent } from "../../jobs/console/kernel-log.ts";
import { isFinal } from "../../jobs/states.ts";
import type { DeliveryView } from "../notify/record.ts";
import type { JobView } from "../runner/record.ts";
import { Verdict } from "./badge.tsx";
import { ago, bytes, change, grouped, instant, seconds, si, visible, webAddress } from "./format.ts";
import { FlameGraph } from "./pictures/flame.tsx";
import type { Profile } from "./pictures/flame-tree.ts";
import { Hypercalls } from "./pictures/hypercalls.tsx";
import { type GoodRun, Phases } from "./pictures/phases.tsx";
import { Timeline } from "./pictures/timeline.tsx";

/** What report.json says of a job beyond its view. */
export interface JobReport {
  readonly events: readonly KernelEvent[];
  readonly tests: {
    readonly counts: Readonly<Record<string, number>>;
  };
}

export interface JobPageData {
  readonly job: JobView;
  readonly report: JobReport | undefined;
  readonly hypercalls: HypercallStatistics | undefined;
  readonly comparison: Comparison | undefined;
  readonly good: GoodRun | undefined;
  readonly profile: Profile | undefined;
  /** None for whoever may not see them. */
  readonly deliveries: readonly DeliveryView[];
  readonly zoom: readonly number[];
  readonly mayChange: boolean;
  readonly now: number;
}

/** Reports, of a job and of a batch alike. */
export const REPORTS = [
  ["report.json", "JSON"],
  ["report.xml", "JUnit"],
  ["report.ktap", "KTAP"],
  ["report.kcidb", "KCIDB"],
  ["report.md", "Markdown"],
] as const;
/** Complaints whose words are shown. */
const EXCERPTS = 8;

/** The label "name", else the fixture, else the beginning of the kernel's hash. */
export function nameOfJob({
  config,
  fixture,
  kernel,
}: Pick<JobView, "config" | "fixture" | "kernel">): string {
  return visible(config.labels?.name ?? fixture ?? kernel.sha256.slice(0, 12));
}

/** Everything of a job but its console; the parts with an id are what the script fetches anew while the job runs. */
export function JobSummary({ job, mayChange, now }: JobPageData) {
  const live = !isFinal(job.state);
  return (
    <section id="summary" data-live={live ? "1" : "0"} data-state={job.state} aria-labelledby="job-title">
      <div class="bar">
        <h1 id="job-title">
          <bdi>{nameOfJob(job)}</bdi>
        </h1>
        <Verdict verdict={job.verdict} state={job.state} />
        {live && mayChange && (
          <form method="post" action={`/jobs/${job.id}/cancel`}>
            <button type="submit">Cancel</button>
          </form>
        )}
        {mayChange && job.from === null && (
          <a class="button" href={`/new?like=${job.id}`}>
            Run again
          </a>
        )}
      </div>
      <p class="reason" role="status">
        {job.reason === null ? liveText(job.state) : visible(job.reason)}
        {job.reasonCode !== null && (
          <>
            {" "}
            <code>{job.reasonCode}</code>
          </>
        )}
      </p>
      <dl class="facts">
        <Fact name="Instructions" title={grouped(job.instructions)}>
          {si(job.instructions)}
        </Fact>
        <Fact name="Guest time">{seconds(job.guestSeconds)}</Fact>
        {/* The speed is that of running; waiting and building are in the wall time, too. */}
        <Fact name="Wall time">{`${seconds(job.seconds)}, running ${seconds(job.runSeconds)}`}</Fact>
        <Fact name="Speed">{job.mips === null ? "–" : `${job.mips} MIPS`}</Fact>
        <Fact name="Memory">{`${job.config.memory} MiB`}</Fact>
        <Fact name="Mode">{`${job.config.mode ?? "pv"}, cpu ${job.config.cpu ?? "v2"}`}</Fact>
        <Fact name="Created" title={instant(job.createdAt)}>
          <time datetime={job.createdAt}>{ago(job.createdAt, now)}</time>
        </Fact>
        {typeof job.batch === "string" && (
          <Fact name="Batch">
            <a href={`/batches/${job.batch}`}>{job.batch.slice(0, 8)}</a>
          </Fact>
        )}
      </dl>
    </section>
  );
}

function liveText(state: string): string {
  if (state === "queued") return "Waits for its turn.";
  if (state === "building") return "The domain is being built.";
  return "The guest is running.";
}

function Fact({
  name,
  title,
  children,
}: {
  readonly name: string;
  readonly title?: string;
  readonly children?: Child;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd {...(title === undefined ? {} : { title })}>{children}</dd>
    </div>
  );
}

/** What was found, each with its words on the console and a link to where they are. */
export function Findings({ job, report }: JobPageData) {
  const events = report?.events ?? [];
  // What would have been a pass says nothing beside what was not.
  const others = job.findings.filter(
    ({ code, verdict }) =>
      !events.some(({ kind }) => kind === code) && (verdict !== "pass" || job.verdict === "pass"),
  );
  const counts = Object.entries(report?.tests.counts ?? {}).filter(([, count]) => count > 0);
  // A reason that stands above already need not be told twice.
  const told = others.length === 1 && others[0]?.message === job.reason && counts.length === 0;
  if (job.verdict === null || (events.length === 0 && (told || others.length === 0)))
    return <section id="findings" hidden />;
  return (
    <section id="findings" aria-labelledby="findings-title">
      <h2 id="findings-title">What was found</h2>
      {others.length > 0 && (
        <ul class="plain">
          {others.map(({ verdict, code, message }) => (
            <li>
              <Verdict verdict={verdict} state="" /> {visible(message)} <code>{code}</code>
            </li>
          ))}
        </ul>
      )}
      {counts.length > 0 && (
        <p>Tests on the console: {counts.map(([name, count]) => `${grouped(count)} ${name}`).join(", ")}.</p>
      )}
      {events.slice(0, EXCERPTS).map((event) => (
        <Complaint jobId={job.id} event={event} />
      ))}
      {events.length > EXCERPTS && <p>{grouped(events.length - EXCERPTS)} more are in the reports.</p>}
    </section>
  );
}

function Complaint({ jobId, event }: { readonly jobId: string; readonly event: KernelEvent }) {
  const { kind, title, line, count, initcall, cause, excerpt } = event;
  return (
    <article class="complaint">
      <h3>
        <code>{kind}</code> {visible(title)}
      </h3>
      <p>
        <a href={`/jobs/${jobId}?line=${line}#L${line}`}>Line {line} of the console</a>
        {count > 1 && `, ${grouped(count)} times`}
        {initcall !== null && `, in initcall ${visible(initcall)}`}
        {cause !== null && `, after: ${visible(cause)}`}
      </p>
      <section class="console excerpt" tabindex={0} aria-label={`Excerpt from line ${line}`}>
        <pre>{excerpt.map((text) => `${visible(text)}\n`).join("")}</pre>
      </section>
    </article>
  );
}

/** How the run differs from the last good one. */
export function LastGood({ job, comparison }: JobPageData) {
  if (comparison === undefined) return <section id="last-good" hidden />;
  const { good, instructions, console, identical } = comparison;
  return (
    <section id="last-good" aria-labelledby="last-good-title">
      <h2 id="last-good-title">Since the last good run</h2>
      <p>
        <a href={`/jobs/${good}`}>{good.slice(0, 8)}</a> took {grouped(instructions.before)} instructions,
        this run <strong>{change(instructions.percent)}</strong>.{" "}
        {identical
          ? "Not a byte of the console differs."
          : console === null
            ? "The consoles differ in time stamps only."
            : `The consoles part at line ${console.line}.`}{" "}
        <a href={`/compare?job=${good}&job=${job.id}`}>Compare the two</a>
      </p>
    </section>
  );
}

export function Pictures(data: JobPageData) {
  const { job, hypercalls, report, good, profile, zoom } = data;
  return (
    <section id="pictures" aria-labelledby="pictures-title">
      <h2 id="pictures-title">The run in pictures</h2>
      {job.instructions === 0 ? (
        <p class="soft">
          {isFinal(job.state)
            ? "The guest executed no instruction."
            : "The guest has not executed an instruction yet."}
        </p>
      ) : (
        <div class="pictures">
          <Timeline
            milestones={job.milestones}
            guestSeconds={job.guestSeconds}
            ended={isFinal(job.state)}
            events={report?.events ?? []}
          />
          <Phases milestones={job.milestones} instructions={job.instructions} good={good} />
          {hypercalls !== undefined && hypercalls.totals.calls > 0 && <Hypercalls statistics={hypercalls} />}
          {profile !== undefined && profile.frames.length === 0 && (
            <p class="soft" id="flame">
              There is no flame graph: the run was over before its first sample; there is one each{" "}
              {si(profile.samplingInstructions)} instructions.
            </p>
          )}
          {profile !== undefined && profile.frames.length > 0 && (
            <FlameGraph
              profile={profile}
              zoom={zoom}
              addressOf={(path) => `/jobs/${job.id}${path.length === 0 ? "" : `?zoom=${path.join(".")}`}`}
            />
          )}
        </div>
      )}
    </section>
  );
}

export function Details({ job, profile, hypercalls, deliveries }: JobPageData) {
  const labels = Object.entries(job.config.labels ?? {});
  const self = `/jobs/${job.id}`;
  return (
    <section aria-labelledby="details-title">
      <h2 id="details-title">What was run</h2>
      <dl class="wide">
        <Fact name="Kernel">
          <code>{job.fixture ?? job.kernel.sha256}</code> ({bytes(job.kernel.size)})
        </Fact>
        {job.initrd !== null && (
          <Fact name="Initrd">
            <code>{job.initrd.sha256}</code> ({bytes(job.initrd.size)})
          </Fact>
        )}
        <Fact name="Command line">
          <code>{visible(job.config.cmdline)}</code>
        </Fact>
        {job.from !== null && (
          <Fact name="Goes on from">
            snapshot <bdi>{visible(job.from.name)}</bdi> at {grouped(job.from.instructions)} instructions
          </Fact>
        )}
        {labels.map(([name, value]) => (
          <Fact name={name}>
            <Label value={value} />{" "}
            <a
              href={`/?label=${encodeURIComponent(`${name}=${value}`.toWellFormed())}`}
              aria-label={`Jobs with the label ${name} ${visible(value)}`}
            >
              (others)
            </a>
          </Fact>
        ))}
        <Fact name="Job">
          <code>{job.id}</code>
        </Fact>
      </dl>
      <p>
        Reports:{" "}
        {REPORTS.map(([file, name], index) => (
          <>
            {index > 0 && ", "}
            <a href={`${self}/${file}`}>{name}</a>
          </>
        ))}
        ; <a href={`${self}/badge.svg`}>badge</a>
      </p>
      {(profile !== undefined || hypercalls !== undefined) && (
        <p>
          Figures: {hypercalls !== undefined && <a href={`${self}/hypercalls`}>hypercalls (JSON)</a>}
          {hypercalls !== undefined && profile !== undefined && ", "}
          {profile !== undefined && <a href={`${self}/profile?format=folded`}>profile (folded stacks)</a>}
        </p>
      )}
      {deliveries.length > 0 && <Deliveries self={self} deliveries={deliveries} />}
      <details>
        <summary>The whole configuration</summary>
        <section class="console excerpt" tabindex={0} aria-label="Configuration as JSON">
          <pre>{visible(JSON.stringify(job.config, null, 2))}</pre>
        </section>
      </details>
    </section>
  );
}

/** Whom the job told how it goes, and what came of it. */
function Deliveries(props: { readonly self: string; readonly deliveries: readonly DeliveryView[] }) {
  const { self, deliveries } = props;
  return (
    <details>
      <summary>Deliveries: {deliveryCounts(deliveries)}</summary>
      <section class="scroll" tabindex={0} aria-label="Table of deliveries">
        <table>
          <thead>
            <tr>
              <th scope="col">Event</th>
              <th scope="col">To</th>
              <th scope="col">State</th>
              <th scope="col">Attempts</th>
              <th scope="col">Last answer</th>
            </tr>
          </thead>
          <tbody>
            {deliveries.map(({ type, url, state, attempts, lastStatus, lastError }) => (
              <tr>
                <th scope="row">{visible(type)}</th>
                <td class="wrap-anywhere">
                  <bdi>{visible(url)}</bdi>
                </td>
                <td>{state}</td>
                <td>{grouped(attempts)}</td>
                <td class="wrap-anywhere">
                  {[lastStatus, lastError]
                    .filter((part) => part !== null)
                    .map((part) => visible(String(part)))
                    .join(", ") || "–"}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <p>
        <a href={`${self}/deliveries`}>All attempts (JSON)</a>
      </p>
    </details>
  );
}

/** "2 delivered, 1 failed" */
function deliveryCounts(deliveries: readonly DeliveryView[]): string {
  const counts = new Map<string, number>();
  for (const { state } of deliveries) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => `${grouped(count)} ${state}`).join(", ");
}

/** A label's value; a link if it is an address. */
function Label({ value }: { readonly value: string }) {
  const address = webAddress(value);
  const shown = <bdi>{visible(value)}</bdi>;
  return address === undefined ? (
    shown
  ) : (
    <a href={address} rel="noreferrer nofollow ugc">
      {shown}
    </a>
  );
}
