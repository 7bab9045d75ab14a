import { type ConsoleLine, textOfSpans } from "../../jobs/ansi/console.ts";
import type { Change, Comparison } from "../../jobs/compare/compare.ts";
import { IGNORED, type Ignored } from "../../jobs/compare/consoles.ts";
import type { JobView } from "../runner/record.ts";
import { Verdict } from "./badge.tsx";
import { change, grouped, instant, seconds, si, visible } from "./format.ts";
import { nameOfJob } from "./job.tsx";
import { MILESTONE_NAMES } from "./pictures/boot.ts";
import { Axis, Picture, percentOf } from "./pictures/frame.tsx";
import { ticks } from "./pictures/scale.ts";

/** One of the two jobs. */
export interface ComparedJob {
  readonly job: JobView;
  /** Of its console, around the first line that differs. */
  readonly lines: readonly ConsoleLine[];
}

export interface CompareProps {
  readonly comparison: Comparison;
  readonly ignored: Ignored;
  readonly before: ComparedJob;
  readonly now: ComparedJob;
}

/** Lines shown before and behind the first that differs. */
export const CONTEXT_LINES = 4;
const ROW = 64;
const IGNORED_NAMES: Readonly<Record<Ignored, string>> = {
  stamps: "time stamps aside",
  numbers: "time stamps, addresses and numbers aside",
  nothing: "byte by byte",
};

export function Compare({ comparison, ignored, before, now }: CompareProps) {
  return (
    <>
      <h1>Two jobs compared</h1>
      <section class="scroll" tabindex={0} aria-label="Table of what was compared">
        <table>
          <thead>
            <tr>
              <th scope="col">
                <a href={`/compare?job=${now.job.id}&job=${before.job.id}`}>Swap</a>
              </th>
              <th scope="col">Before</th>
              <th scope="col">Now</th>
              <th scope="col">Change</th>
            </tr>
          </thead>
          <tbody>
            <tr>
              <th scope="row">Job</th>
              <JobCell job={before.job} />
              <JobCell job={now.job} />
              <td />
            </tr>
            <Row name="Instructions" format={grouped} numbers={comparison.instructions} />
            <Row name="Guest time" format={seconds} numbers={comparison.guestSeconds} />
            <tr>
              <th scope="row">Command line</th>
              <td class="wrap-anywhere">
                <code>{visible(before.job.config.cmdline)}</code>
              </td>
              <td class="wrap-anywhere">
                <code>{visible(now.job.config.cmdline)}</code>
              </td>
              <td>{before.job.config.cmdline === now.job.config.cmdline ? "same" : "differs"}</td>
            </tr>
            <tr>
              <th scope="row">Kernel</th>
              <td>
                <code>{before.job.kernel.sha256.slice(0, 12)}</code>
              </td>
              <td>
                <code>{now.job.kernel.sha256.slice(0, 12)}</code>
              </td>
              <td>{before.job.kernel.sha256 === now.job.kernel.sha256 ? "same" : "differs"}</td>
            </tr>
            {differencesOf(before.job, now.job).map(([name, was, is]) => (
              <tr>
                <th scope="row">{name}</th>
                <td class="wrap-anywhere">
                  <code>{visible(was)}</code>
                </td>
                <td class="wrap-anywhere">
                  <code>{visible(is)}</code>
                </td>
                <td>differs</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <ConsoleDifference comparison={comparison} ignored={ignored} before={before} now={now} />
      <section aria-labelledby="compared-title">
        <h2 id="compared-title">Milestones and hypercalls</h2>
        <div class="pictures">
          <MilestoneBars comparison={comparison} />
          <HypercallChanges comparison={comparison} />
        </div>
      </section>
    </>
  );
}

/** Fields with a row of their own, and those that change nothing of a run. */
const TOLD_ELSEWHERE: ReadonlySet<string> = new Set([
  "cmdline",
  "labels",
  "visibility",
  "notify",
  "retention",
]);

/** What else the two were asked for that is not the same: name, before and now; it may be what explains the change. */
export function differencesOf(before: JobView, now: JobView): readonly (readonly [string, string, string])[] {
  const fieldsOf = ({ config, initrd, from }: JobView): Readonly<Record<string, unknown>> => ({
    ...config,
    initrd: initrd?.sha256.slice(0, 12),
    from: from === null ? undefined : `${from.name} at ${grouped(from.instructions)} instructions`,
  });
  const [was, is] = [fieldsOf(before), fieldsOf(now)];
  const textOf = (value: unknown): string =>
    value === undefined || value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value);
  return [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .filter((name) => !TOLD_ELSEWHERE.has(name))
    .map((name) => [name, textOf(was[name]), textOf(is[name])] as const)
    .filter(([, one, other]) => one !== other);
}

function JobCell({ job }: { readonly job: JobView }) {
  return (
    <td>
      <a href={`/jobs/${job.id}`}>
        <bdi>{nameOfJob(job)}</bdi>
      </a>{" "}
      <span class="soft">{job.id.slice(0, 8)}</span>
      <br />
      <Verdict verdict={job.verdict} state={job.state} />
      <br />
      <span class="soft">{instant(job.createdAt)}</span>
    </td>
  );
}

function Row(props: {
  readonly name: string;
  readonly format: (value: number) => string;
  readonly numbers: Change;
}) {
  const { name, format, numbers } = props;
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{format(numbers.before)}</td>
      <td>{format(numbers.now)}</td>
      <td>
        <ChangeText value={numbers.percent} />
      </td>
    </tr>
  );
}

function ChangeText({ value }: { readonly value: number }) {
  return <span class={value > 0 ? "up" : value < 0 ? "down" : "soft"}>{change(value)}</span>;
}

function ConsoleDifference({ comparison, ignored, before, now }: CompareProps) {
  const at = comparison.console?.line;
  const sides = [
    ["Before", before, "removed"],
    ["Now", now, "added"],
  ] as const;
  return (
    <section aria-labelledby="difference-title">
      <h2 id="difference-title">Consoles</h2>
      <p>
        Compared {IGNORED_NAMES[ignored]};{" "}
        {IGNORED.filter((other) => other !== ignored).map((other, index) => (
          <>
            {index > 0 && ", or "}
            <a href={`/compare?job=${before.job.id}&job=${now.job.id}&ignore=${other}`}>
              {IGNORED_NAMES[other]}
            </a>
          </>
        ))}
        .
      </p>
      {at === undefined ? (
        <p>{comparison.identical ? "Not a byte differs." : "No line differs."}</p>
      ) : (
        <>
          <p>
            The first line that differs is line {at}:{" "}
            <a href={`/jobs/${before.job.id}?line=${at}#L${at}`}>before</a>,{" "}
            <a href={`/jobs/${now.job.id}?line=${at}#L${at}`}>now</a>.
          </p>
          <div class="pictures">
            {sides.map(([title, { job, lines }, className]) => (
              <div>
                <h3>{title}</h3>
                <section class="console" tabindex={0} aria-label={`${title}: lines around ${at}`}>
                  {lines.map(({ number, spans }) => (
                    <div class="l">
                      <a href={`/jobs/${job.id}?line=${number}#L${number}`} tabindex={-1}>
                        {String(number)}
                      </a>
                      {number === at ? (
                        <mark class={className}>{textOfSpans(spans)}</mark>
                      ) : (
                        textOfSpans(spans)
                      )}
                    </div>
                  ))}
                  {!lines.some(({ number }) => number === at) && <p class="soft">The console ends here.</p>}
                </section>
              </div>
            ))}
          </div>
        </>
      )}
    </section>
  );
}

/** When either run passed its milestones, in instructions. */
function MilestoneBars({ comparison }: { readonly comparison: Comparison }) {
  const rows = [
    ...comparison.milestones.map(({ milestone, before, now, percent: moved }) => ({
      name: MILESTONE_NAMES[milestone],
      before,
      now,
      moved,
    })),
    { name: "end", ...comparison.instructions, moved: comparison.instructions.percent },
  ];
  const most = Math.max(1, ...rows.flatMap(({ before, now }) => [before ?? 0, now ?? 0]));
  const bottom = rows.length * ROW;
  const bar = (value: number | null, y: number, className: string) =>
    value === null ? (
      <text class="value" x="0" y={y + 11}>
        not reached
      </text>
    ) : (
      <rect class={className} x="0" y={y} width={percentOf(value, most)} height="14" rx="2" />
    );
  return (
    <Picture
      id="milestone-bars"
      title="Instructions until each milestone"
      summary={rows
        .map(
          ({ name, moved }) =>
            `${name}: ${moved === null ? "one of the two did not get there" : change(moved)}`,
        )
        .join(", ")}
      legend={[
        { className: "before-bar", label: "before" },
        { className: "now-bar", label: "now" },
      ]}
      height={bottom + 40}
    >
      <Axis
        ticks={ticks(most)}
        top={0}
        bottom={bottom}
        format={(value) => si(value)}
        unit="guest instructions"
      />
      {rows.map(({ name, before, now, moved }, index) => {
        const y = index * ROW;
        return (
          <g>
            <text class="label" x="0" y={y + 14}>
              {name}
            </text>
            <text class="value" x="100%" y={y + 14} text-anchor="end">
              {moved === null ? "" : change(moved)}
            </text>
            {bar(before, y + 20, "before-bar")}
            {bar(now, y + 37, "now-bar")}
          </g>
        );
      })}
    </Picture>
  );
}

function HypercallChanges({ comparison }: { readonly comparison: Comparison }) {
  const { hypercalls } = comparison;
  return (
    <div class="picture">
      <h3>Hypercalls whose number changed</h3>
      {hypercalls.length === 0 ? (
        <p class="soft">None: both runs made the same calls.</p>
      ) : (
        <section class="scroll" tabindex={0} aria-label="Table of hypercalls whose number changed">
          <table>
            <thead>
              <tr>
                <th scope="col">Hypercall</th>
                <th scope="col">Before</th>
                <th scope="col">Now</th>
                <th scope="col">Change</th>
              </tr>
            </thead>
            <tbody>
              {hypercalls.map(({ hypercall, before, now, percent: moved }) => (
                <tr>
                  <th scope="row">{hypercall}</th>
                  <td>{grouped(before)}</td>
                  <td>{grouped(now)}</td>
                  <td>{before === 0 ? "new" : now === 0 ? "gone" : <ChangeText value={moved} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </div>
  );
}
