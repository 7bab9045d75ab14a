/* What a node of the xenstore is, and who may do what with it. Nodes are immutable: a change puts another in its place. */

/** What a permission entry allows: none, read, write, both. */
export type Access = "n" | "r" | "w" | "b";

export interface Permission {
  readonly domid: number;
  readonly access: Access;
}

export interface StoreNode {
  readonly value: Uint8Array;
  /** The first entry names the owner, and what is allowed to everyone who has no entry. */
  readonly permissions: readonly Permission[];
  /** Names, in order of creation. */
  readonly children: readonly string[];
  /** Changes with the node's value, permissions or list of children, but not with its descendants. */
  readonly generation: number;
}

export const ROOT_DOMID = 0;

/** struct xs_tdb_record_hdr and struct xs_permissions of xenstored: quotas count them, too. */
const HEADER_BYTES = 24;
const PERMISSION_BYTES = 8;

/** What `domid` may do with a node of these permissions (perm_for_conn of xenstored). */
export function allows(permissions: readonly Permission[], domid: number, wanted: "r" | "w"): boolean {
  const owner = permissions[0]!;
  if (domid === ROOT_DOMID || domid === owner.domid) return true;
  const entry = permissions.slice(1).find((permission) => permission.domid === domid);
  const access = (entry ?? owner).access;
  return access === "b" || access === wanted;
}

export function ownerOf(node: StoreNode): number {
  return node.permissions[0]!.domid;
}

/** Bytes that a node is accounted for, without its path. */
export function nodeBytes({ value, permissions, children }: StoreNode): number {
  const names = children.reduce((sum, name) => sum + name.length + 1, 0);
  return HEADER_BYTES + permissions.length * PERMISSION_BYTES + value.length + names;
}

/** Of an absolute path other than "/". */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** The last name of an absolute path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function childPath(parent: string, name: string): string {
  return parent === "/" ? `/${name}` : `${parent}/${name}`;
}
