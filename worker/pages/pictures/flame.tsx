import { grouped, percent, si, visible } from "../format.ts";
import { type FlameBox, flameBoxes, flameTree, framesTo, hottest, type Profile } from "./flame-tree.ts";
import { Axis, Picture } from "./frame.tsx";
import { ticks } from "./scale.ts";

const ROW = 20;
const AXIS = 38;
const HUES = 5;
/** How names end of functions that compilers put into their callers, as flamegraph.pl marks them. */
const INLINED = "_[i]";
/** What has no name of its own, and its colour; everything else is the kernel's. */
const KINDS: Readonly<Record<string, { readonly className: string; readonly label: string }>> = {
  "[user]": { className: "k-user", label: "user space" },
  "[emu]": { className: "k-emu", label: "emu, serving hypercalls" },
  "[module]": { className: "k-module", label: "modules" },
};
const HOTTEST = 15;
/** In percent of the width; a name has no room in less. */
const NAMED_PERCENT = 1.2;

/**
 * A flame graph, callers on top. Each frame is a link to the picture of itself (`addressOf`), so zooming needs no script; with one the
 * page stays where it is.
 */
export function FlameGraph(props: {
  readonly profile: Profile;
  readonly zoom?: readonly number[];
  /** The page in which a frame is as wide as the picture. */
  readonly addressOf: (path: readonly number[]) => string;
}) {
  const { profile, zoom = [], addressOf } = props;
  const root = flameTree(profile);
  const boxes = flameBoxes(root, zoom);
  const shown = framesTo(root, zoom).at(-1) ?? root;
  const depth = Math.max(0, ...boxes.map((box) => box.depth)) + 1;
  const top = hottest(root, HOTTEST);
  const share = (samples: number): string => percent(root.samples === 0 ? 0 : samples / root.samples);
  const widest = top[0];
  const summary = `${grouped(root.samples)} samples, one each ${si(profile.samplingInstructions)} instructions; a frame's width is its share of them, its callers are above it.${
    widest === undefined ? "" : ` Most were found in ${visible(widest.name)} itself: ${share(widest.self)}.`
  }`;
  return (
    <Picture
      id="flame"
      title="Where the instructions went"
      summary={summary}
      height={depth * ROW + AXIS}
      legend={[
        { className: "h0", label: "functions of the kernel, in shades" },
        ...Object.entries(KINDS)
          .filter(([name]) => boxes.some((box) => box.name === name))
          .map(([, kind]) => kind),
        ...(boxes.some(({ name }) => name.endsWith(INLINED))
          ? [{ className: null, label: "[i] = inlined into its caller" }]
          : []),
      ]}
      table={
        <table>
          <thead>
            <tr>
              <th scope="col">Function</th>
              <th scope="col">In itself</th>
              <th scope="col">With what it called</th>
              <th scope="col">Instructions, about</th>
            </tr>
          </thead>
          <tbody>
            {top.map(({ name, self, total }) => (
              <tr>
                <th scope="row">{visible(name)}</th>
                <td>{share(self)}</td>
                <td>{share(total)}</td>
                <td>{si(self * profile.samplingInstructions)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      }
      controls={
        shown !== root && (
          <p>
            Zoomed to <code>{visible(shown.name)}</code>, {share(shown.samples)} of all.{" "}
            <a href={`${addressOf([])}#flame`} data-swap="flame">
              Show all
            </a>
          </p>
        )
      }
      interactive
    >
      <Axis
        ticks={ticks(shown.samples * profile.samplingInstructions)}
        top={0}
        bottom={depth * ROW}
        format={(value) => si(value)}
        unit="guest instructions, about"
      />
      {boxes.map((box) => (
        <Frame
          box={box}
          share={share(box.samples)}
          address={`${addressOf(box.path)}#flame`}
          caller={box.depth < zoom.length}
        />
      ))}
    </Picture>
  );
}

function Frame({
  box,
  share,
  address,
  caller,
}: {
  readonly box: FlameBox;
  readonly share: string;
  readonly address: string;
  readonly caller: boolean;
}) {
  const name = visible(box.name);
  // Narrow frames can be zoomed to from their callers, and need not be stops of the keyboard.
  const stop = box.width >= NAMED_PERCENT;
  return (
    <a href={address} data-swap="flame" aria-label={`${name}, ${share}`} {...(stop ? {} : { tabindex: -1 })}>
      <svg x={`${box.x.toFixed(4)}%`} y={box.depth * ROW} width={`${box.width.toFixed(4)}%`} height={ROW - 1}>
        <title>{`${name}: ${grouped(box.samples)} samples, ${share}`}</title>
        <rect
          class={`frame ${caller ? "caller" : (kindOf(box.name)?.className ?? `h${hueOf(name)}`)}`}
          width="100%"
          height="100%"
        />
        {stop && (
          <foreignObject width="100%" height="100%">
            <div class="frame-name">{name}</div>
          </foreignObject>
        )}
      </svg>
    </a>
  );
}

const kindOf = (name: string): (typeof KINDS)[string] | undefined =>
  Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;

/** The same for the same name. */
function hueOf(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return hash % HUES;
}
