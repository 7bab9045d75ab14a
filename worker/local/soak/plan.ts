import type { Victim } from "./killable-server.ts";

/** When a process is killed. */
export type Moment =
  /** So many milliseconds after the job was posted, while its domain is built; at its first instructions if they come before. */
  | { readonly phase: "build"; readonly milliseconds: number }
  /** When this share of all instructions was seen to be done. */
  | { readonly phase: "run"; readonly share: number }
  /** After that, at the first moment at which workerd writes much: a checkpoint, or cold pages. */
  | { readonly phase: "checkpoint"; readonly share: number; readonly milliseconds: number }
  /** So many milliseconds after the last console output came: about when the result is stored. */
  | { readonly phase: "end"; readonly milliseconds: number };

export type Kill = Moment & { readonly victim: Victim };

/** For a guest that takes a second or two: early, or it is over. */
export const QUICK_KILLS: readonly Kill[] = [
  { phase: "build", milliseconds: 20, victim: "workerd" },
  { phase: "run", share: 0.02, victim: "node" },
  { phase: "end", milliseconds: 0, victim: "workerd" },
];

const BUILD_MILLISECONDS = 4_000;
const CHECKPOINT_MILLISECONDS = 100;
const END_MILLISECONDS = 400;
const FIRST_SHARE = 0.02;
const LAST_SHARE = 0.97;

/** Uniform in [0, 1), the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 2 ** 32;
  };
}

/**
 * What is tried instead of a kill whose moment did not come, since the guest was over before or made no checkpoint: one in the
 * run, half as far from its beginning, and at last one as soon as the job was posted, which no guest is too quick for.
 */
export function earlier(kill: Kill): Kill {
  const share = "share" in kill ? kill.share / 2 : 0;
  const { victim } = kill;
  return share < FIRST_SHARE ? { phase: "build", milliseconds: 0, victim } : { phase: "run", share, victim };
}

/**
 * `kills` kills, in as many boots as needed for at most `perBoot` each, in the order in which they come. In every boot there is
 * one while the domain is built and one at the end; those between are in the run and in checkpoints by turns. workerd and node
 * die by turns through all boots.
 */
export function planKills(kills: number, perBoot: number, random: () => number): Kill[][] {
  const boots: Kill[][] = [];
  let planned = 0;
  while (planned < kills) {
    const count = Math.min(perBoot, kills - planned);
    const moments: Moment[] = [{ phase: "build", milliseconds: random() * BUILD_MILLISECONDS }];
    const between = Math.max(0, count - 2);
    const shares = Array.from({ length: between }, () => FIRST_SHARE + random() * (LAST_SHARE - FIRST_SHARE));
    for (const [i, share] of shares.sort((a, b) => a - b).entries()) {
      const milliseconds = random() * CHECKPOINT_MILLISECONDS;
      moments.push(i % 2 === 0 ? { phase: "run", share } : { phase: "checkpoint", share, milliseconds });
    }
    moments.push({ phase: "end", milliseconds: random() * END_MILLISECONDS });
    boots.push(
      moments.slice(0, count).map((moment, i) => ({
        ...moment,
        victim: (planned + i) % 2 === 0 ? "workerd" : "node",
      })),
    );
    planned += count;
  }
  return boots;
}
