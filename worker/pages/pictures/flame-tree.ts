/** Where a run's instructions went: stacks, outermost function first, with how often each was found. */
export interface Profile {
  readonly frames: readonly { readonly stack: readonly string[]; readonly samples: number }[];
  /** Guest instructions between two samples. */
  readonly samplingInstructions: number;
}

export interface FlameNode {
  readonly name: string;
  /** In it and in all that it called. */
  readonly samples: number;
  /** In it alone. */
  readonly self: number;
  /** Widest first, so that a path of indexes names the same frame each time. */
  readonly children: readonly FlameNode[];
}

/** A frame as it is drawn. */
export interface FlameBox {
  readonly name: string;
  readonly samples: number;
  /** Row, counted from the top. */
  readonly depth: number;
  /** Of the width, 0 to 100. */
  readonly x: number;
  readonly width: number;
  /** Indexes of children from the root: what `zoom` takes. */
  readonly path: readonly number[];
}

/** Deeper stacks are cut. */
const DEPTH = 64;
/** Narrower frames are left out, in percent of the width. */
const LEAST_PERCENT = 0.1;
const PATH = /^\d{1,4}(?:\.\d{1,4}){0,63}$/;

interface Growing {
  samples: number;
  self: number;
  readonly children: Map<string, Growing>;
}

const seed = (): Growing => ({ samples: 0, self: 0, children: new Map() });

function grown(name: string, { samples, self, children }: Growing): FlameNode {
  const sorted = [...children]
    .map(([child, node]) => grown(child, node))
    .sort((a, b) => b.samples - a.samples || (a.name < b.name ? -1 : 1));
  return { name, samples, self, children: sorted };
}

/** Stacks with equal beginnings joined to a tree. */
export function flameTree({ frames }: Profile, rootName = "all"): FlameNode {
  const root = seed();
  for (const { stack, samples } of frames) {
    let node = root;
    node.samples += samples;
    for (const name of stack.slice(0, DEPTH)) {
      const child = node.children.get(name) ?? seed();
      node.children.set(name, child);
      child.samples += samples;
      node = child;
    }
    node.self += samples;
  }
  return grown(rootName, root);
}

/** "0.3.1" as a path; an empty one for anything else. */
export function parsePath(text: string | undefined): readonly number[] {
  return text !== undefined && PATH.test(text) ? text.split(".").map(Number) : [];
}

/** The frames from the root to where a path leads, as far as there are any. */
export function framesTo(root: FlameNode, path: readonly number[]): readonly FlameNode[] {
  const frames = [root];
  for (const index of path) {
    const next = frames.at(-1)?.children[index];
    if (next === undefined) break;
    frames.push(next);
  }
  return frames;
}

/** What to draw when the frame at `path` is as wide as the picture: its callers above it, what it called below. */
export function flameBoxes(root: FlameNode, path: readonly number[] = []): readonly FlameBox[] {
  const callers = framesTo(root, path);
  const boxes: FlameBox[] = [];
  const reached = path.slice(0, callers.length - 1);
  const zoomed = callers.at(-1) ?? root;
  for (const [depth, { name, samples }] of callers.slice(0, -1).entries())
    boxes.push({ name, samples, depth, x: 0, width: 100, path: reached.slice(0, depth) });
  const place = (node: FlameNode, at: readonly number[], depth: number, x: number): void => {
    const width = zoomed.samples === 0 ? 100 : (node.samples / zoomed.samples) * 100;
    if (width < LEAST_PERCENT) return;
    boxes.push({ name: node.name, samples: node.samples, depth, x, width, path: at });
    let from = x;
    for (const [index, child] of node.children.entries()) {
      place(child, [...at, index], depth + 1, from);
      from += zoomed.samples === 0 ? 0 : (child.samples / zoomed.samples) * 100;
    }
  };
  place(zoomed, reached, reached.length, 0);
  return boxes;
}

/** The frames in which most samples were found themselves, callees not counted. */
export function hottest(
  root: FlameNode,
  count: number,
): readonly { readonly name: string; readonly self: number; readonly total: number }[] {
  const names = new Map<string, { self: number; total: number }>();
  const visit = (node: FlameNode, above: ReadonlySet<string>): void => {
    const entry = names.get(node.name) ?? { self: 0, total: 0 };
    entry.self += node.self;
    // Recursion counts once.
    if (!above.has(node.name)) entry.total += node.samples;
    names.set(node.name, entry);
    const inside = new Set(above).add(node.name);
    for (const child of node.children) visit(child, inside);
  };
  for (const child of root.children) visit(child, new Set());
  return [...names]
    .map(([name, { self, total }]) => ({ name, self, total }))
    .sort((a, b) => b.self - a.self || b.total - a.total)
    .slice(0, count);
}
