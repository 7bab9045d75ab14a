import { MILESTONES, type Milestones } from "../../../jobs/compare/milestones.ts";
import { grouped, percent, si } from "../format.ts";
import { MILESTONE_NAMES, type Phase, phasesOf } from "./boot.ts";
import { Axis, Picture, percentOf, textPercent } from "./frame.tsx";
import { share, ticks } from "./scale.ts";

const BAR = 26;
const GOOD_BAR = 14;
const AXIS = 40;
const ROW = 40;
const GAP = 12;

export interface GoodRun {
  readonly milestones: Milestones;
  readonly instructions: number;
}

/** How many instructions the boot took, and between which milestones; the last good run beneath, where there is one. */
export function Phases(props: {
  readonly milestones: Milestones;
  readonly instructions: number;
  readonly good?: GoodRun | undefined;
}) {
  const { milestones, instructions, good } = props;
  const phases = phasesOf(milestones, instructions);
  const goodPhases = good === undefined ? [] : phasesOf(good.milestones, good.instructions);
  const most = Math.max(instructions, good?.instructions ?? 0);
  const label = 18;
  const bars = label + BAR + (good === undefined ? 0 : GAP + label + GOOD_BAR);
  const rowsTop = bars + AXIS + GAP;
  const largest = Math.max(1, ...phases.map(lengthOf));
  return (
    <Picture
      id="phases"
      title="Instructions over the boot"
      summary={`${grouped(instructions)} instructions: ${phases
        .map((phase) => `${si(lengthOf(phase))} ${phase.name} (${percent(lengthOf(phase) / instructions)})`)
        .join(", ")}.`}
      height={rowsTop + phases.length * ROW}
      table={<PhaseTable milestones={milestones} instructions={instructions} good={good} />}
    >
      <Axis
        ticks={ticks(most)}
        top={label}
        bottom={bars}
        format={(value) => si(value)}
        unit="guest instructions"
      />
      <text class="label" x="0" y="12">
        this run
      </text>
      {phases.map((phase) => (
        <Segment phase={phase} most={most} y={label} height={BAR} named />
      ))}
      {good !== undefined && (
        <>
          <text class="label" x="0" y={label + BAR + GAP + 10}>
            last good run
          </text>
          {goodPhases.map((phase) => (
            <Segment phase={phase} most={most} y={label + BAR + GAP + label} height={GOOD_BAR} />
          ))}
        </>
      )}
      {phases.map((phase, index) => {
        const y = rowsTop + index * ROW;
        return (
          <g>
            <text class="label" x="0" y={y + 12}>
              {phase.name}
            </text>
            <text class="value" x="100%" y={y + 12} text-anchor="end">
              {si(lengthOf(phase))}, {percent(lengthOf(phase) / instructions)}
            </text>
            <rect class="groove" x="0" y={y + 18} width="100%" height="10" rx="2" />
            <rect
              class={`p${phase.colour}`}
              x="0"
              y={y + 18}
              width={percentOf(lengthOf(phase), largest)}
              height="10"
              rx="2"
            />
          </g>
        );
      })}
    </Picture>
  );
}

const lengthOf = ({ from, to }: Phase): number => to - from;

function Segment(props: {
  readonly phase: Phase;
  readonly most: number;
  readonly y: number;
  readonly height: number;
  readonly named?: boolean;
}) {
  const { phase, most, y, height, named = false } = props;
  const width = share(lengthOf(phase), most);
  return (
    <svg x={percentOf(phase.from, most)} y={y} width={`${width}%`} height={height}>
      <title>{`${phase.name}: ${grouped(lengthOf(phase))} instructions`}</title>
      <rect class={`p${phase.colour}`} width="100%" height="100%" />
      {named && width > textPercent(`  ${phase.name}`) && (
        <text class="inside" x="6" y={height / 2 + 4}>
          {phase.name}
        </text>
      )}
    </svg>
  );
}

function PhaseTable({
  milestones,
  instructions,
  good,
}: {
  readonly milestones: Milestones;
  readonly instructions: number;
  readonly good?: GoodRun | undefined;
}) {
  const rows: readonly (readonly [string, number | undefined, number | undefined])[] = [
    ...MILESTONES.map(
      (name) =>
        [
          MILESTONE_NAMES[name],
          milestones[name]?.instructions,
          good?.milestones[name]?.instructions,
        ] as const,
    ),
    ["end", instructions, good?.instructions],
  ];
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Until</th>
          <th scope="col">Instructions</th>
          {good !== undefined && <th scope="col">Last good run</th>}
        </tr>
      </thead>
      <tbody>
        {rows
          .filter(([, now, before]) => now !== undefined || before !== undefined)
          .map(([name, now, before]) => (
            <tr>
              <th scope="row">{name}</th>
              <td>{now === undefined ? "–" : grouped(now)}</td>
              {good !== undefined && <td>{before === undefined ? "–" : grouped(before)}</td>}
            </tr>
          ))}
      </tbody>
    </table>
  );
}
