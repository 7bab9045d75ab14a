import { XENSTORE_LIMITS } from "../../limits.ts";
import { XenstoreError } from "./wire.ts";

/*
 * The tree of nodes. Nodes are immutable: a change makes new nodes from the changed one up to the root. A transaction is
 * then no more than a root that was kept, and comparing generations tells what changed since.
 */

/** What a permission entry allows: none, read, write, both. */
export type Access = "n" | "r" | "w" | "b";

export interface Permission {
  readonly domid: number;
  readonly access: Access;
}

export interface TreeNode {
  readonly value: Uint8Array;
  /** The first entry names the owner, and what is allowed to everyone who has no entry. */
  readonly permissions: readonly Permission[];
  /** In order of creation. */
  readonly children: ReadonlyMap<string, TreeNode>;
  /** Changes with the node's value, permissions or list of children, but not with its descendants. */
  readonly generation: number;
}

/** Names from the root down; the root is []. */
export type Path = readonly string[];

export const ROOT_DOMID = 0;

export function lookup(root: TreeNode, path: Path): TreeNode | undefined {
  let node: TreeNode | undefined = root;
  for (const name of path) {
    node = node.children.get(name);
    if (node === undefined) return undefined;
  }
  return node;
}

/** What `domid` may do with a node (perm_for_conn of xenstored). */
export function allows(node: TreeNode, domid: number, wanted: "r" | "w"): boolean {
  const owner = node.permissions[0]!;
  if (domid === ROOT_DOMID || domid === owner.domid) return true;
  const entry = node.permissions.slice(1).find((permission) => permission.domid === domid);
  const access = (entry ?? owner).access;
  return access === "b" || access === wanted;
}

/** The root with `path` replaced; the nodes above it must exist. */
export function replace(root: TreeNode, path: Path, node: TreeNode): TreeNode {
  const [name, ...rest] = path;
  if (name === undefined) return node;
  const child = root.children.get(name);
  const children = new Map(root.children);
  children.set(name, rest.length === 0 ? node : replace(child!, rest, node));
  return { ...root, children };
}

/** The root without `path`, whose parent gets `generation`. */
export function remove(root: TreeNode, path: Path, generation: number): TreeNode {
  const parentPath = path.slice(0, -1);
  const parent = lookup(root, parentPath)!;
  const children = new Map(parent.children);
  children.delete(path.at(-1)!);
  return replace(root, parentPath, { ...parent, children, generation });
}

/** The root with an empty node at `path`, and what was missing above it. Each inherits its parent's permissions. */
export function create(root: TreeNode, path: Path, domid: number, generation: number): TreeNode {
  let depth = 0;
  let parent = root;
  for (; depth < path.length - 1; depth++) {
    const child = parent.children.get(path[depth]!);
    if (child === undefined) break;
    parent = child;
  }
  // A guest owns what it makes; what it inherits is who else may do what.
  const [owner, ...others] = parent.permissions;
  const permissions =
    domid === ROOT_DOMID ? parent.permissions : [{ domid, access: owner!.access }, ...others];
  let made: TreeNode = { value: new Uint8Array(0), permissions, children: new Map(), generation };
  for (let i = path.length - 1; i > depth; i--) {
    made = {
      value: new Uint8Array(0),
      permissions,
      children: new Map([[path[i]!, made]]),
      generation,
    };
  }
  const children = new Map(parent.children);
  children.set(path[depth]!, made);
  return replace(root, path.slice(0, depth), { ...parent, children, generation });
}

/** Nodes owned by `domid` in the subtree. */
export function countOwned(node: TreeNode, domid: number): number {
  let count = node.permissions[0]!.domid === domid ? 1 : 0;
  for (const child of node.children.values()) count += countOwned(child, domid);
  return count;
}

/** @throws XenstoreError ENOSPC if the node is larger than a guest's may be. */
export function checkSize(node: TreeNode): void {
  let bytes = node.value.length + node.permissions.length * 4;
  for (const name of node.children.keys()) bytes += name.length + 1;
  if (bytes > XENSTORE_LIMITS.nodeBytes) throw new XenstoreError("ENOSPC");
}
