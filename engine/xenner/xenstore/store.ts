import { XENSTORE_LIMITS } from "../../limits.ts";
import {
  type Access,
  allows,
  checkSize,
  countOwned,
  create,
  lookup,
  type Path,
  type Permission,
  ROOT_DOMID,
  remove,
  replace,
  type TreeNode,
} from "./tree.ts";
import { toBytes, toText, XenstoreError } from "./wire.ts";

/** A node changed: `removed` is the subtree that is gone. */
export interface Change {
  readonly path: Path;
  /** The node before a removal, after any other change; decides who may know. */
  readonly node: TreeNode;
  readonly wasRemoved: boolean;
}

type Mutation =
  | { readonly kind: "write"; readonly path: Path; readonly value: Uint8Array }
  | { readonly kind: "mkdir"; readonly path: Path }
  | { readonly kind: "rm"; readonly path: Path }
  | { readonly kind: "permissions"; readonly path: Path; readonly permissions: readonly Permission[] };

/** A saved node: name, value, permissions as on the wire, generation, children. Plain JSON. */
export type SavedNode = readonly [
  name: string,
  value: string,
  permissions: string,
  generation: number,
  children: readonly SavedNode[],
];

export interface SavedTransaction {
  readonly id: number;
  /** The tree as it was at the start, and as the transaction sees it now. */
  readonly start: SavedNode;
  readonly snapshot: SavedNode;
  readonly touched: readonly (readonly [path: string, generation: number])[];
  readonly mutations: readonly SavedMutation[];
}
type SavedMutation = readonly [kind: Mutation["kind"], path: string, data: string];

export interface SavedStore {
  readonly generation: number;
  readonly root: SavedNode;
}

/** The tree that everyone sees, and its clock of changes. */
export class Store {
  root: TreeNode = {
    value: new Uint8Array(0),
    permissions: [{ domid: ROOT_DOMID, access: "r" }],
    children: new Map(),
    generation: 0,
  };
  #generation = 0;

  nextGeneration(): number {
    return ++this.#generation;
  }

  save(): SavedStore {
    return { generation: this.#generation, root: saveNode("", this.root) };
  }

  static restore(saved: SavedStore): Store {
    const store = new Store();
    store.#generation = saved.generation;
    store.root = restoreNode(saved.root);
    return store;
  }
}

/** The generation recorded for a node that does not exist. */
const ABSENT = -1;

/**
 * What one domain sees and changes: the store itself, or (a transaction) a snapshot of it. All methods check `domid`'s
 * permissions and quotas, and throw XenstoreError.
 */
export class View {
  readonly domid: number;
  readonly #store: Store;
  /** Undefined: changes go to the store at once. */
  #snapshot: TreeNode | undefined;
  /** Nodes that the transaction has read or changed, with the generation each had at its start. */
  readonly #touched = new Map<string, number>();
  readonly #start: TreeNode | undefined;
  readonly #mutations: Mutation[] = [];
  #changes: Change[] = [];

  constructor(store: Store, domid: number, isTransaction: boolean, start: TreeNode = store.root) {
    this.#store = store;
    this.domid = domid;
    this.#start = isTransaction ? start : undefined;
    this.#snapshot = this.#start;
  }

  /** Changes since the last call that watches have to hear of. */
  takeChanges(): Change[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  /** The node at `path`. EACCES, or ENOENT where the domain may know that there is none. */
  get(path: Path, wanted: "r" | "w"): TreeNode {
    const node = this.#touch(path);
    if (node !== undefined && allows(node, this.domid, wanted)) return node;
    throw new XenstoreError(node === undefined && this.#mayKnowAbsence(path, wanted) ? "ENOENT" : "EACCES");
  }

  /** Writes a node; it is made if it is missing, and whatever is missing above it. */
  write(path: Path, value: Uint8Array): void {
    this.#canMake(path);
    this.#mutate({ kind: "write", path, value });
  }

  /** Makes an empty node and whatever is missing above it; a node that is there stays as it is. */
  mkdir(path: Path): void {
    if (this.#canMake(path)) this.#mutate({ kind: "mkdir", path });
  }

  /** Removes a subtree. A node that is not there is fine if its parent is. */
  rm(path: Path): void {
    try {
      this.get(path, "w");
    } catch (error) {
      const isAbsent = error instanceof XenstoreError && error.errno === "ENOENT";
      if (isAbsent && this.#touch(path.slice(0, -1)) !== undefined) return;
      throw error;
    }
    if (path.length === 0) throw new XenstoreError("EINVAL");
    this.#touch(path.slice(0, -1));
    this.#mutate({ kind: "rm", path });
  }

  setPermissions(path: Path, permissions: readonly Permission[]): void {
    const node = this.get(path, "w");
    const owner = node.permissions[0]!.domid;
    if (this.domid !== ROOT_DOMID) {
      if (owner !== this.domid) throw new XenstoreError("EACCES");
      if (permissions[0]?.domid !== owner) throw new XenstoreError("EPERM");
      if (permissions.length > XENSTORE_LIMITS.permissionsPerNode) throw new XenstoreError("ENOSPC");
    }
    this.#mutate({ kind: "permissions", path, permissions });
  }

  /**
   * Ends a transaction: its changes happen at once, if no node it has touched was changed meanwhile.
   *
   * @throws XenstoreError EAGAIN on such a conflict
   */
  commit(): void {
    for (const [path, generation] of this.#touched) {
      const now = lookup(this.#store.root, splitPath(path))?.generation ?? ABSENT;
      if (now !== generation) throw new XenstoreError("EAGAIN");
    }
    this.#snapshot = undefined;
    this.#changes = [];
    const before = this.#store.root;
    for (const mutation of this.#mutations) this.#apply(mutation);
    try {
      this.#checkQuota();
    } catch (error) {
      this.#store.root = before;
      this.#changes = [];
      throw error;
    }
  }

  saveTransaction(id: number): SavedTransaction {
    return {
      id,
      start: saveNode("", this.#start!),
      snapshot: saveNode("", this.#snapshot!),
      touched: [...this.#touched],
      mutations: this.#mutations.map(saveMutation),
    };
  }

  static restoreTransaction(store: Store, domid: number, saved: SavedTransaction): View {
    const view = new View(store, domid, true, restoreNode(saved.start));
    view.#snapshot = restoreNode(saved.snapshot);
    view.#mutations.push(...saved.mutations.map(restoreMutation));
    for (const [path, generation] of saved.touched) view.#touched.set(path, generation);
    return view;
  }

  get #root(): TreeNode {
    return this.#snapshot ?? this.#store.root;
  }

  /** Looks a node up, and remembers in a transaction that its outcome depends on it. */
  #touch(path: Path): TreeNode | undefined {
    if (this.#start !== undefined) {
      const key = joinPath(path);
      if (!this.#touched.has(key)) {
        if (this.#touched.size >= XENSTORE_LIMITS.nodesPerTransaction) throw new XenstoreError("ENOSPC");
        this.#touched.set(key, lookup(this.#start, path)?.generation ?? ABSENT);
      }
    }
    return lookup(this.#root, path);
  }

  /** The nearest node above decides whether the domain may know (errno_from_parents of xenstored). */
  #mayKnowAbsence(path: Path, wanted: "r" | "w"): boolean {
    for (let depth = path.length - 1; depth >= 0; depth--) {
      const parent = this.#touch(path.slice(0, depth));
      if (parent !== undefined) return allows(parent, this.domid, wanted);
    }
    return false;
  }

  /** True if the node is missing and may be made, false if it is there and may be written. */
  #canMake(path: Path): boolean {
    try {
      this.get(path, "w");
      return false;
    } catch (error) {
      if (error instanceof XenstoreError && error.errno === "ENOENT") return true;
      throw error;
    }
  }

  #mutate(mutation: Mutation): void {
    const before = this.#root;
    const changesBefore = this.#changes.length;
    try {
      this.#apply(mutation);
      this.#checkSizes(mutation);
      if (mutation.kind !== "rm") this.#checkQuota();
    } catch (error) {
      this.#setRoot(before);
      this.#changes.length = changesBefore;
      throw error;
    }
    if (this.#start !== undefined) this.#mutations.push(mutation);
  }

  #setRoot(root: TreeNode): void {
    if (this.#snapshot !== undefined) this.#snapshot = root;
    else this.#store.root = root;
  }

  #apply(mutation: Mutation): void {
    const { kind, path } = mutation;
    const root = this.#root;
    const generation = this.#store.nextGeneration();
    if (kind === "mkdir") {
      this.#setRoot(create(root, path, this.domid, generation));
    } else if (kind === "write") {
      const made = lookup(root, path) === undefined ? create(root, path, this.domid, generation) : root;
      this.#setRoot(replace(made, path, { ...lookup(made, path)!, value: mutation.value, generation }));
    } else if (kind === "rm") {
      const node = lookup(root, path)!;
      this.#setRoot(remove(root, path, generation));
      this.#changes.push({ path, node, wasRemoved: true });
      return;
    } else {
      const { permissions } = mutation;
      this.#setRoot(replace(root, path, { ...lookup(root, path)!, permissions, generation }));
    }
    this.#changes.push({ path, node: lookup(this.#root, path)!, wasRemoved: false });
  }

  #checkSizes({ kind, path }: Mutation): void {
    if (this.domid === ROOT_DOMID || kind === "rm") return;
    checkSize(lookup(this.#root, path)!);
    // The name of a new node counts in its parent, which may be new as well.
    for (let depth = 0; depth < path.length; depth++) {
      const parent = lookup(this.#root, path.slice(0, depth))!;
      if (parent.permissions[0]!.domid === this.domid) checkSize(parent);
    }
  }

  #checkQuota(): void {
    if (this.domid === ROOT_DOMID) return;
    if (countOwned(this.#root, this.domid) > XENSTORE_LIMITS.nodesPerDomain)
      throw new XenstoreError("ENOSPC");
  }
}

export function joinPath(path: Path): string {
  return `/${path.join("/")}`;
}

/** Names of an absolute path that is known to be valid. */
export function splitPath(path: string): Path {
  return path === "/" ? [] : path.slice(1).split("/");
}

/** Permissions on the wire: "n0", "b1", … each with a NUL behind it. */
export function encodePermissions(permissions: readonly Permission[]): string {
  return permissions.map(({ access, domid }) => `${access}${domid}\0`).join("");
}

/** @throws XenstoreError EINVAL */
export function decodePermissions(strings: readonly string[]): Permission[] {
  if (strings.length === 0) throw new XenstoreError("EINVAL");
  return strings.map((string) => {
    if (!/^[nrwb][0-9]{1,5}$/.test(string)) throw new XenstoreError("EINVAL");
    return { access: string[0] as Access, domid: Number(string.slice(1)) };
  });
}

function saveNode(name: string, node: TreeNode): SavedNode {
  const children = [...node.children].map(([childName, child]) => saveNode(childName, child));
  return [name, toText(node.value), encodePermissions(node.permissions), node.generation, children];
}

function restoreNode([, value, permissions, generation, children]: SavedNode): TreeNode {
  return {
    value: toBytes(value),
    permissions: decodePermissions(permissions.split("\0").slice(0, -1)),
    generation,
    children: new Map(children.map((child) => [child[0], restoreNode(child)])),
  };
}

function saveMutation(mutation: Mutation): SavedMutation {
  let data = "";
  if (mutation.kind === "write") data = toText(mutation.value);
  if (mutation.kind === "permissions") data = encodePermissions(mutation.permissions);
  return [mutation.kind, joinPath(mutation.path), data];
}

function restoreMutation([kind, joined, data]: SavedMutation): Mutation {
  const path = splitPath(joined);
  if (kind === "write") return { kind, path, value: toBytes(data) };
  if (kind === "permissions") {
    return { kind, path, permissions: decodePermissions(data.split("\0").slice(0, -1)) };
  }
  return { kind, path };
}
