import { MILESTONES, type Milestone, type Milestones } from "../../../jobs/compare/milestones.ts";

/** What people call them. */
export const MILESTONE_NAMES: Readonly<Record<Milestone, string>> = {
  "linux-version": "first words of Linux",
  memory: "memory ready",
  "initcalls-done": "initcalls done",
  init: "/init started",
  pass: "pass patterns seen",
};

/** What a guest does until it gets to a milestone. */
const PHASE_NAMES: Readonly<Record<Milestone, string>> = {
  "linux-version": "before the first words",
  memory: "early set-up",
  "initcalls-done": "initcalls",
  init: "starting /init",
  pass: "user space",
};
/** Of a guest whose first words come all at once, since it has no console earlier: its early set-up is in this, too. */
const UNTIL_CONSOLE_NAME = "until the console works";
/** Of a guest that is no Linux, or whose patterns were seen before /init. */
const UNTIL_PASS_NAME = "until the pass patterns";
const REST_NAME = "the rest";
const WHOLE_NAME = "the whole run";

/** A stretch of a boot between two milestones. */
export interface Phase {
  readonly name: string;
  /** The milestone that ends it; null for what follows the last one. */
  readonly until: Milestone | null;
  readonly from: number;
  readonly to: number;
  /** Which of the picture's colours. */
  readonly colour: number;
}

/** The phases of a run in instructions. Milestones that were seen at the same moment leave one without length, which is left out. */
export function phasesOf(milestones: Milestones, instructions: number): readonly Phase[] {
  const phases: Phase[] = [];
  const memory = milestones.memory?.instructions;
  const atOnce = memory !== undefined && memory === milestones["linux-version"]?.instructions;
  let from = 0;
  for (const [colour, milestone] of MILESTONES.entries()) {
    const at = milestones[milestone]?.instructions;
    // The phase that ends at both has the colour of the early set-up, as it has by the kernel's own stamps.
    if (at === undefined || (atOnce && milestone === "linux-version")) continue;
    const name =
      atOnce && milestone === "memory"
        ? UNTIL_CONSOLE_NAME
        : milestone === "pass" && milestones.init === undefined
          ? UNTIL_PASS_NAME
          : PHASE_NAMES[milestone];
    if (at > from) phases.push({ name, until: milestone, from, to: at, colour });
    from = Math.max(from, at);
  }
  if (instructions > from) {
    const name = phases.length === 0 ? WHOLE_NAME : REST_NAME;
    phases.push({ name, until: null, from, to: instructions, colour: MILESTONES.length });
  }
  return phases;
}

/** A point on the way up, in guest time. */
export interface BootPoint {
  readonly milestone: Milestone;
  readonly name: string;
  /** The kernel's own time stamp, where it has one: what it says before it has a console all arrives at once. */
  readonly seconds: number;
  readonly stamped: boolean;
  readonly instructions: number;
}

export function pointsOf(milestones: Milestones): readonly BootPoint[] {
  return MILESTONES.flatMap((milestone) => {
    const time = milestones[milestone];
    if (time === undefined) return [];
    const { kernelSeconds, guestNanoseconds, instructions } = time;
    return [
      {
        milestone,
        name: MILESTONE_NAMES[milestone],
        seconds: kernelSeconds ?? guestNanoseconds / 1e9,
        stamped: kernelSeconds !== null,
        instructions,
      },
    ];
  });
}
