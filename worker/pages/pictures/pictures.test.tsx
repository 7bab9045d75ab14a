import { XMLValidator } from "fast-xml-parser";
import type { Child } from "hono/jsx";
import { describe, expect, test } from "vitest";
import type { HypercallStatistics } from "../../../engine/machine-api.ts";
import type { Milestones } from "../../../jobs/compare/milestones.ts";
import { growth, MOST_GROWTH } from "../../../jobs/testing/growth.ts";
import { phasesOf, pointsOf } from "./boot.ts";
import { FlameGraph } from "./flame.tsx";
import { flameBoxes, flameTree, framesTo, hottest, type Profile, parsePath } from "./flame-tree.ts";
import { Hypercalls, hypercallBars } from "./hypercalls.tsx";
import { Phases } from "./phases.tsx";
import { ticks } from "./scale.ts";
import { flagRows, Timeline } from "./timeline.tsx";

/*
 * The pictures are SVG that the server writes: whatever the figures are, they are well-formed, nothing is drawn outside, parts add up to
 * their whole, and they say in words what they show. Names come from guests, and stay text.
 */

const time = (instructions: number, seconds: number, kernelSeconds: number | null = seconds) => ({
  instructions,
  guestNanoseconds: seconds * 1e9,
  kernelSeconds,
});
const DEBIAN: Milestones = {
  "linux-version": time(1_500_000_000, 1.5, 0),
  memory: time(1_500_000_000, 1.5, 1.4),
  "initcalls-done": time(2_600_000_000, 2.6),
  init: time(2_700_000_000, 2.7),
  pass: time(2_740_000_000, 2.8, null),
};

async function svgOf(picture: Child): Promise<string> {
  const html = String(await (<div>{picture}</div>));
  expect(XMLValidator.validate(html)).toBe(true);
  return html;
}

/** All values in percent of an attribute. */
function percents(html: string, attribute: string): number[] {
  return [...html.matchAll(new RegExp(`\\b${attribute}="([0-9.e+-]+)%"`, "g"))].map(([, value]) =>
    Number(value),
  );
}

function expectInside(html: string): void {
  for (const attribute of ["x", "x1", "x2", "cx", "width"])
    for (const value of percents(html, attribute)) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(100.01);
    }
  expect(html).not.toMatch(/NaN|Infinity|undefined/);
}

describe("axes", () => {
  test("have round values, begin at 0 and do not go beyond the end", () => {
    for (const most of [1, 3, 7.3, 99, 2_741_023_869, 0.004, 1e12, 12]) {
      const values = ticks(most).map(({ value }) => value);
      expect(values[0]).toBe(0);
      expect(values.length).toBeGreaterThanOrEqual(3);
      expect(values.length).toBeLessThanOrEqual(7);
      expect(values.at(-1)).toBeLessThanOrEqual(most * (1 + 1e-9));
      for (const value of values) expect(String(Number(value.toPrecision(2)))).toBe(String(value));
    }
    expect(ticks(2_741_023_869).map(({ value }) => value)).toEqual([0, 1e9, 2e9]);
    expect(ticks(0)).toEqual([{ value: 0, at: 0 }]);
  });
});

describe("the boot", () => {
  test("its phases are all of its instructions, and one that took none is left out", () => {
    const phases = phasesOf(DEBIAN, 2_800_000_000);
    expect(phases.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(2_800_000_000);
    expect(phases.map(({ until }) => until)).toEqual(["memory", "initcalls-done", "init", "pass", null]);
    // What the kernel stamps as its early set-up is not said to be before its first words.
    expect(phases[0]).toMatchObject({ name: "until the console works", colour: 1 });
    const early = { ...DEBIAN, "linux-version": time(1_000, 0) };
    expect(phasesOf(early, 2_800_000_000).slice(0, 2)).toMatchObject([
      { name: "before the first words", colour: 0, to: 1_000 },
      { name: "early set-up", colour: 1, from: 1_000 },
    ]);
    expect(phasesOf({}, 5)).toMatchObject([{ from: 0, to: 5 }]);
    expect(phasesOf({}, 0)).toEqual([]);
  });

  test("points are where the kernel's own stamps say", () => {
    expect(pointsOf(DEBIAN).map(({ seconds, stamped }) => [seconds, stamped])).toEqual([
      [0, true],
      [1.4, true],
      [2.6, true],
      [2.7, true],
      [2.8, false],
    ]);
  });

  test("no pole crosses another's label, on a phone", () => {
    const places = [...pointsOf(DEBIAN), { name: "end of the run", seconds: 3 }];
    const flags = flagRows(places, 3);
    expect(flags.map(({ row }) => row)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(new Set(flags.map(({ name }) => name)).size).toBe(places.length);
    // 7 pixels a character, 290 in all.
    for (const { at, row, name } of flags)
      for (const label of flags.filter((other) => other.row > row)) {
        const width = ((label.name.length + label.when.length + 1) * 7) / 2.9;
        const [from, to] = label.toLeft ? [label.at - width, label.at] : [label.at, label.at + width];
        expect([name, label.name, at > from && at < to]).toEqual([name, label.name, false]);
      }
  });

  test("is drawn, with complaints and the last good run, or with nothing known at all", async () => {
    const event = {
      kind: "oops",
      title: "<b>",
      line: 7,
      time: 99,
      text: "",
      excerpt: [],
      initcall: null,
      cause: null,
      count: 1,
    } as const;
    const timeline = await svgOf(<Timeline milestones={DEBIAN} guestSeconds={3} ended events={[event]} />);
    expectInside(timeline);
    expect(timeline).toContain("line 7: &lt;b&gt;");
    expect(timeline).toContain("guest time, seconds");
    const short = await svgOf(<Timeline milestones={{}} guestSeconds={0.00144} ended />);
    expect(short).toContain("guest time, milliseconds");
    expect(short).toContain(">0.5<");
    const good = { milestones: DEBIAN, instructions: 2_900_000_000 };
    const phases = await svgOf(<Phases milestones={DEBIAN} instructions={2_800_000_000} good={good} />);
    expectInside(phases);
    expect(phases).toContain("last good run");
    for (const bare of [
      <Timeline milestones={{}} guestSeconds={0} ended={false} />,
      <Phases milestones={{}} instructions={0} />,
    ])
      expectInside(await svgOf(bare));
  });
});

describe("hypercalls", () => {
  const statistics = (kinds: number): HypercallStatistics => {
    const hypercalls = Array.from({ length: kinds }, (_, index) => ({
      hypercall: `call_${index}`,
      subop: index % 2 === 0 ? null : "SUB",
      calls: 10 ** (index % 6) + index,
      inEmu: 10 ** (index % 6),
      byPort: index,
      errors: 0,
      instructions: 100 * index,
    }));
    const sum = (field: "calls" | "inEmu" | "byPort" | "errors" | "instructions"): number =>
      hypercalls.reduce((total, count) => total + count[field], 0);
    const [calls, inEmu] = [sum("calls"), sum("inEmu")];
    const totals = {
      calls,
      inEmu,
      byPort: sum("byPort"),
      errors: 0,
      instructions: sum("instructions"),
      shareInEmu: inEmu / calls,
    };
    return { hypercalls, totals, traps: {}, upcalls: 0, cr3Switches: 0 };
  };

  test("bars are the most frequent kinds, and lose none of the calls", () => {
    for (const kinds of [1, 12, 13, 14, 40]) {
      const given = statistics(kinds);
      const bars = hypercallBars(given);
      expect(bars.length).toBeLessThanOrEqual(13);
      expect(bars.reduce((sum, { calls }) => sum + calls, 0)).toBe(given.totals.calls);
      expect(bars.reduce((sum, { byPort }) => sum + byPort, 0)).toBe(given.totals.byPort);
    }
    expect(hypercallBars(statistics(40)).at(-1)?.name).toBe("28 other kinds");
  });

  test("are drawn", async () => {
    const html = await svgOf(<Hypercalls statistics={statistics(20)} />);
    expectInside(html);
    expect(html).toContain("served inside the guest (emu)");
    expect(html).toContain("call_5: SUB");
  });
});

describe("the flame graph", () => {
  const PROFILE: Profile = {
    samplingInstructions: 1_000_000,
    frames: [
      { stack: ["start_kernel", "setup_arch", "xen_rebuild_p2m_list"], samples: 60 },
      { stack: ["start_kernel", "setup_arch"], samples: 5 },
      { stack: ["start_kernel", "rest_init"], samples: 15 },
      { stack: ["entry", "<script>alert(1)</script>"], samples: 10 },
      { stack: ["entry", "recurse", "recurse"], samples: 9 },
      { stack: [], samples: 1 },
    ],
  };
  const root = flameTree(PROFILE);

  test("joins stacks with equal beginnings, and loses no sample", () => {
    expect(root.samples).toBe(100);
    expect(root.self).toBe(1);
    expect(root.children.map(({ name, samples }) => [name, samples])).toEqual([
      ["start_kernel", 80],
      ["entry", 19],
    ]);
    const selves = (node: typeof root): number =>
      node.self + node.children.reduce((sum, child) => sum + selves(child), 0);
    expect(selves(root)).toBe(100);
  });

  test("a frame's children are below it, side by side, and no wider than it", () => {
    for (const zoom of [[], [0], [0, 0], [1, 1]]) {
      const boxes = flameBoxes(root, zoom);
      expect(boxes.filter(({ depth }) => depth <= zoom.length).map(({ width }) => width)).toEqual(
        zoom.concat(0).map(() => 100),
      );
      for (const box of boxes.filter(({ depth }) => depth > zoom.length)) {
        const parent = boxes.find(({ path }) => path.join() === box.path.slice(0, -1).join());
        expect(box.depth).toBe((parent?.depth ?? 0) + 1);
        expect(box.x).toBeGreaterThanOrEqual((parent?.x ?? 0) - 1e-9);
        expect(box.x + box.width).toBeLessThanOrEqual((parent?.x ?? 0) + (parent?.width ?? 0) + 1e-9);
      }
    }
    expect(flameBoxes(root, [0, 0, 0]).at(-1)).toMatchObject({
      name: "xen_rebuild_p2m_list",
      x: 0,
      width: 100,
    });
  });

  test("a path that leads nowhere ends where it can", () => {
    expect(framesTo(root, [0, 7, 7]).map(({ name }) => name)).toEqual(["all", "start_kernel"]);
    for (const bad of [undefined, "", "x", "1..2", "<b>", "1.2.", "99999", "1.".repeat(200)])
      expect(parsePath(bad)).toEqual([]);
    expect(parsePath("0.12.3")).toEqual([0, 12, 3]);
  });

  test("names where most time went; recursion counts once", () => {
    expect(hottest(root, 3)).toEqual([
      { name: "xen_rebuild_p2m_list", self: 60, total: 60 },
      { name: "rest_init", self: 15, total: 15 },
      { name: "<script>alert(1)</script>", self: 10, total: 10 },
    ]);
    expect(hottest(root, 9).find(({ name }) => name === "recurse")).toEqual({
      name: "recurse",
      self: 9,
      total: 9,
    });
  });

  test("is drawn with links that zoom, and names as text", async () => {
    const html = await svgOf(
      <FlameGraph profile={PROFILE} zoom={[0]} addressOf={(path) => `/j?zoom=${path.join(".")}`} />,
    );
    expectInside(html);
    expect(html).toContain('href="/j?zoom=0.0.0#flame"');
    expect(html).toContain("Show all");
    // The axis is that of the frame that is as wide as the picture: 80 samples of a million instructions.
    expect(html).toMatch(/>80\sM</);
    expect(html).not.toContain("inlined");
    const inlined = { samplingInstructions: 1, frames: [{ stack: ["caller", "loop_[i]"], samples: 1 }] };
    expect(await svgOf(<FlameGraph profile={inlined} addressOf={() => "/j"} />)).toContain("[i] = inlined");
    const whole = await svgOf(<FlameGraph profile={PROFILE} addressOf={() => "/j"} />);
    expect(whole).toContain("&lt;script&gt;");
    expect(whole).not.toContain("<script>");
    expect(whole).toMatch(/100 samples.*60 %/s);
    expectInside(
      await svgOf(<FlameGraph profile={{ frames: [], samplingInstructions: 1 }} addressOf={() => "/"} />),
    );
  });

  test("of twenty thousand stacks is made in time, and small", async () => {
    const profileOf = (stacks: number): Profile => ({
      samplingInstructions: 1,
      frames: Array.from({ length: stacks }, (_, index) => ({
        stack: ["a", `b${index % 10}`, `c${index % 1000}`, `d${index}`],
        samples: 1,
      })),
    });
    const html = await svgOf(<FlameGraph profile={profileOf(20_000)} addressOf={() => "/"} />);
    expect(html.length).toBeLessThan(1_000_000);
    const draw = async (stacks: number) =>
      String(
        await (
          <div>
            <FlameGraph profile={profileOf(stacks)} addressOf={() => "/"} />
          </div>
        ),
      );
    expect(await growth(draw, 2_000, 20_000)).toBeLessThan(MOST_GROWTH);
  });
});
