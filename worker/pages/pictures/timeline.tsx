import type { Milestones } from "../../../jobs/compare/milestones.ts";
import type { KernelEvent } from "../../../jobs/console/kernel-log.ts";
import { grouped, seconds, visible } from "../format.ts";
import { type BootPoint, pointsOf } from "./boot.ts";
import { Axis, Picture, percentOf } from "./frame.tsx";
import { share, ticks } from "./scale.ts";

const ROW = 20;
const TRACK = 22;
const GAP = 8;
const AXIS = 38;
/** Of the width: behind it labels are to the left of their poles. */
const HALF = 50;
/** Complaints that get a mark of their own. */
const MARKS = 24;

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
      <Axis ticks={ticks(most)} top={track} bottom={bottom} format={String} unit="guest time, seconds" />
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
      {flags.map(({ name, seconds: at, row }) => (
        <Flag name={name} at={share(at, most)} when={seconds(at)} y={row * ROW} foot={bottom} />
      ))}
      {marks.map(({ time, title, line }) => (
        <circle class="mark" cx={percentOf(time, most)} cy={track + TRACK / 2} r="5">
          <title>{`line ${line}: ${visible(title)}`}</title>
        </circle>
      ))}
    </Picture>
  );
}

interface FlagPlace {
  readonly name: string;
  readonly seconds: number;
}

/**
 * Rows for the labels such that no pole crosses a label of its half: on the left, where labels stand to the right of their poles,
 * earlier ones are above; on the right it is the other way round.
 */
function flagRows(
  places: readonly FlagPlace[],
  most: number,
): readonly (FlagPlace & { readonly row: number })[] {
  const onRight = ({ seconds: at }: FlagPlace): boolean => share(at, most) > HALF;
  const ordered = [...places.filter((place) => !onRight(place)), ...places.filter(onRight).reverse()];
  return ordered.map((place, row) => ({ ...place, row }));
}

/** A label with a pole to the track; it is on the side where there is room. */
function Flag(props: {
  readonly name: string;
  readonly at: number;
  readonly when: string;
  readonly y: number;
  readonly foot: number;
}) {
  const { name, at, when, y, foot } = props;
  const right = at > HALF;
  return (
    <g class="flag">
      <line x1={`${at}%`} x2={`${at}%`} y1={y + 4} y2={foot} />
      <text x={`${at}%`} y={y + 14} dx={right ? -6 : 6} text-anchor={right ? "end" : "start"}>
        {name} <tspan class="soft">{when}</tspan>
      </text>
    </g>
  );
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
