import type { HypercallCount, HypercallStatistics } from "../../../engine/machine-api.ts";
import { grouped, percent, si } from "../format.ts";
import { Axis, Picture, textPercent } from "./frame.tsx";
import { share, ticks } from "./scale.ts";

/** Kinds with a bar of their own; the others share one. */
const BARS = 12;
const ROW = 40;
/** A line more, for the count of a kind whose name leaves it no room beside itself. */
const LINE = 16;
const WHOLE = 62;
/** Of the width. */
const COUNT_PERCENT = 24;
const AXIS = 40;

/** A kind of hypercall as the picture has it. */
export interface HypercallBar {
  readonly name: string;
  readonly calls: number;
  readonly inEmu: number;
  readonly byPort: number;
  readonly byVmcall: number;
  readonly instructions: number;
}

const barOf = (name: string, counts: readonly HypercallCount[]): HypercallBar => {
  const sum = (field: (count: HypercallCount) => number): number =>
    counts.reduce((total, count) => total + field(count), 0);
  return {
    name,
    calls: sum(({ calls }) => calls),
    inEmu: sum(({ inEmu }) => inEmu),
    byPort: sum(({ byPort }) => byPort),
    byVmcall: sum(({ byVmcall = 0 }) => byVmcall),
    instructions: sum(({ instructions }) => instructions),
  };
};

/** "mmuext_op: PIN_L4_TABLE" */
export function nameOfHypercall({ hypercall, subop }: HypercallCount): string {
  return subop === null ? hypercall : `${hypercall}: ${subop}`;
}

/** The most frequent kinds, and all others as one. */
export function hypercallBars({ hypercalls }: HypercallStatistics): readonly HypercallBar[] {
  const sorted = hypercalls.filter(({ calls }) => calls > 0).sort((a, b) => b.calls - a.calls);
  const shown = sorted.length > BARS + 1 ? sorted.slice(0, BARS) : sorted;
  const rest = sorted.slice(shown.length);
  const bars = shown.map((count) => barOf(nameOfHypercall(count), [count]));
  return rest.length === 0 ? bars : [...bars, barOf(`${rest.length} other kinds`, rest)];
}

/** Hypercalls by kind, and how many of them were served inside the guest. */
export function Hypercalls({ statistics }: { readonly statistics: HypercallStatistics }) {
  const { totals } = statistics;
  const bars = hypercallBars(statistics);
  const most = Math.max(1, ...bars.map(({ calls }) => calls));
  let bottom = WHOLE;
  const rows = bars.map((bar) => {
    const y = bottom;
    const isLong = textPercent(bar.name) + COUNT_PERCENT > 100;
    bottom += isLong ? ROW + LINE : ROW;
    return { bar, y, isLong };
  });
  const outside = totals.calls - totals.inEmu;
  const byVmcall = totals.byVmcall ?? 0;
  const legend = [
    { className: "in-emu", label: "served inside the guest (emu)" },
    { className: "by-port", label: "left the guest by a port" },
    ...(byVmcall > 0 ? [{ className: "by-vmcall", label: "left the guest by VMCALL" }] : []),
  ];
  return (
    <Picture
      id="hypercalls"
      title="Hypercalls by kind"
      summary={`${grouped(totals.calls)} hypercalls, of which ${percent(totals.shareInEmu)} were served inside the guest; ${grouped(outside)} left it. They took ${si(totals.instructions)} guest instructions.`}
      legend={legend}
      height={bottom + AXIS}
      table={<HypercallTable statistics={statistics} />}
    >
      <text class="label" x="0" y="12">
        all hypercalls
      </text>
      <text class="value" x="100%" y="12" text-anchor="end">
        {percent(totals.shareInEmu)} inside the guest
      </text>
      <Stack bar={{ name: "", ...totals, byVmcall }} most={Math.max(1, totals.calls)} y={18} height={22} />
      <Axis ticks={ticks(most)} top={WHOLE} bottom={bottom} format={(value) => si(value)} unit="calls" />
      {rows.map(({ bar, y, isLong }) => {
        const lower = isLong ? y + LINE : y;
        return (
          <g>
            <title>{`${bar.name}: ${grouped(bar.calls)} calls, ${grouped(bar.inEmu)} inside the guest`}</title>
            <text class="label" x="0" y={y + 13}>
              {bar.name}
            </text>
            <text class="value" x="100%" y={lower + 13} text-anchor="end">
              {si(bar.calls)}
            </text>
            <Stack bar={bar} most={most} y={lower + 19} height={13} />
          </g>
        );
      })}
    </Picture>
  );
}

/** One bar, its parts side by side. */
function Stack(props: {
  readonly bar: HypercallBar;
  readonly most: number;
  readonly y: number;
  readonly height: number;
}) {
  const { bar, most, y, height } = props;
  const parts = [
    ["in-emu", bar.inEmu],
    ["by-port", bar.byPort],
    ["by-vmcall", bar.byVmcall],
  ] as const;
  let from = 0;
  return (
    <>
      <rect class="groove" x="0" y={y} width="100%" height={height} rx="2" />
      {parts.map(([className, calls]) => {
        if (calls === 0) return null;
        const x = share(from, most);
        from += calls;
        // What is there at all must be seen.
        return (
          <rect
            class={`${className} least`}
            x={`${Math.min(x, 99.6)}%`}
            y={y}
            width={`${Math.max(share(calls, most), 0.4)}%`}
            height={height}
          />
        );
      })}
    </>
  );
}

function HypercallTable({ statistics }: { readonly statistics: HypercallStatistics }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Hypercall</th>
          <th scope="col">Calls</th>
          <th scope="col">Inside</th>
          <th scope="col">By port</th>
          <th scope="col">By VMCALL</th>
          <th scope="col">Errors</th>
          <th scope="col">Instructions</th>
          <th scope="col">Each</th>
        </tr>
      </thead>
      <tbody>
        {[...statistics.hypercalls]
          .sort((a, b) => b.calls - a.calls)
          .map((count) => (
            <tr>
              <th scope="row">{nameOfHypercall(count)}</th>
              <td>{grouped(count.calls)}</td>
              <td>{grouped(count.inEmu)}</td>
              <td>{grouped(count.byPort)}</td>
              <td>{grouped(count.byVmcall ?? 0)}</td>
              <td>{grouped(count.errors)}</td>
              <td>{grouped(count.instructions)}</td>
              <td>{count.calls === 0 ? "–" : grouped(Math.round(count.instructions / count.calls))}</td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}
