import type { Milestones } from "../../../jobs/compare/milestones.ts";
import type { KernelEvent } from "../../../jobs/console/kernel-log.ts";
import { grouped, seconds, visible } from "../format.ts";
import { type BootPoint, pointsOf } from "./boot.ts";
import { Axis, Picture, percentOf, textPercent } from "./frame.tsx";
import { share, ticks } from "./scale.ts";

const ROW = 20;
const TRACK = 22;
const GAP = 8;
const AXIS = 38;
/** Of the width: behind it labels are to the left of their poles. */
const HALF = 50;
/** Complaints that get a mark of their own. */
const MARKS = 24;

const SECONDS = { unit: "seconds", factor: 1, least: 1 } as const;
/** The axis' units, by the guest time from which on they are used, in seconds. */
const UNITS = [
  SECONDS,
  { unit: "milliseconds", factor: 1e3, least: 1e-3 },
  { unit: "microseconds", factor: 1e6, least: Number.MIN_VALUE },
] as const;

/** When the boot got where, in guest time. */
export function Timeline(props: {
  readonly milestones: Milestones;
  readonly guestSeconds: number;
  readonly ended: boolean;
  readonly events?: readonly KernelEvent[];
}) {
  const { milestones, guestSeconds, ended, events = [] } = props;
  const points = pointsOf(milestones);
  const marks = events
    .filter((event): event is KernelEvent & { time: number } => event.time !== null)
    .slice(0, MARKS);
  const most = Math.max(
    guestSeconds,
    ...[...points.map(({ seconds: at }) => at), ...marks.map(({ time }) => time)],
  );
  const flags = flagRows(
    [...points, { name: ended ? "end of the run" : "now", seconds: guestSeconds }],
    most,
  );
  const rows = points.length + 1;
  const track = rows * ROW + GAP;
  const bottom = track + TRACK;
  const end = ended ? "end of the run" : "now";
  const { unit, factor } = UNITS.find(({ least }) => most >= least) ?? SECONDS;
  const summary =
    points.length === 0
      ? `The guest ran for ${seconds(most)} and passed no milestone of a Linux boot.`
      : `${points.map(({ name, seconds: at }) => `${name} at ${seconds(at)}`).join(", ")}; ${end} at ${seconds(guestSeconds)}.`;
  return (
    <Picture
      id="timeline"
      title="Timeline of the boot"
      summary={summary}
      height={bottom + AXIS}
      legend={marks.length > 0 ? [{ className: "mark", label: "a complaint of the kernel" }] : []}
      table={<TimelineTable points={points} guestSeconds={guestSeconds} end={end} />}
    >
      <Axis
        ticks={ticks(most * factor)}
        top={track}
        bottom={bottom}
        format={String}
        unit={`guest time, ${unit}`}
      />
      {points.map(({ seconds: at }, index) => {
        const next = points[index + 1]?.seconds ?? most;
        return (
          <rect
            class={`p${index + 1}`}
            x={percentOf(at, most)}
            width={percentOf(Math.max(0, next - at), most)}
            y={track}
            height={TRACK}
          />
        );
      })}
      <rect class="p0" x="0" width={percentOf(points[0]?.seconds ?? most, most)} y={track} height={TRACK} />
      {/* Where a pole has to pass a label of another, the label is in front. */}
      {flags.map(({ at, row }) => (
        <line class="pole" x1={`${at}%`} x2={`${at}%`} y1={row * ROW + 4} y2={bottom} />
      ))}
      {flags.map(({ name, at, when, toLeft, row }) => (
        <text
          class="flag"
          x={`${at}%`}
          y={row * ROW + 14}
          dx={toLeft ? -6 : 6}
          text-anchor={toLeft ? "end" : "start"}
        >
          {name} <tspan class="soft">{when}</tspan>
        </text>
      ))}
      {marks.map(({ time, title, line }) => (
        <circle class="mark" cx={percentOf(time, most)} cy={track + TRACK / 2} r="5">
          <title>{`line ${line}: ${visible(title)}`}</title>
        </circle>
      ))}
    </Picture>
  );
}

/** A label with a pole to the track; it is on the side where there is room. */
export interface FlagPlace {
  readonly name: string;
  readonly when: string;
  /** Of the width. */
  readonly at: number;
  readonly toLeft: boolean;
  readonly row: number;
}

/** Rows for the labels, such that no pole crosses another's label if that can be: it must begin below those that it would cross. */
export function flagRows(
  places: readonly { readonly name: string; readonly seconds: number }[],
  most: number,
): readonly FlagPlace[] {
  const left = places.map(({ name, seconds: value }) => {
    const at = share(value, most);
    const when = seconds(value);
    const width = textPercent(`${name} ${when}`);
    const toLeft = at > HALF || at >= width;
    return { name, when, at, toLeft, from: toLeft ? at - width : at, to: toLeft ? at : at + width };
  });
  const rows: FlagPlace[] = [];
  while (left.length > 0) {
    const crossed = left.map(({ at }) => left.filter(({ from, to }) => from < at && at < to).length);
    const index = crossed.indexOf(Math.min(...crossed));
    const [next] = left.splice(index, 1);
    if (next === undefined) break;
    const { name, when, at, toLeft } = next;
    rows.push({ name, when, at, toLeft, row: rows.length });
  }
  return rows;
}

function TimelineTable(props: {
  readonly points: readonly BootPoint[];
  readonly guestSeconds: number;
  readonly end: string;
}) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Milestone</th>
          <th scope="col">Guest time</th>
          <th scope="col">By</th>
          <th scope="col">Instructions</th>
        </tr>
      </thead>
      <tbody>
        {props.points.map(({ name, seconds: at, stamped, instructions }) => (
          <tr>
            <th scope="row">{name}</th>
            <td>{seconds(at)}</td>
            <td>{stamped ? "the kernel's time stamp" : "when it was seen"}</td>
            <td>{grouped(instructions)}</td>
          </tr>
        ))}
        <tr>
          <th scope="row">{props.end}</th>
          <td>{seconds(props.guestSeconds)}</td>
          <td>the guest's clock</td>
          <td />
        </tr>
      </tbody>
    </table>
  );
}
