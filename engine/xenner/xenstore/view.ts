import { XENSTORE_LIMITS } from "../../limits.ts";
import {
  allows,
  childPath,
  nameOf,
  nodeBytes,
  ownerOf,
  type Permission,
  parentOf,
  ROOT_DOMID,
  type StoreNode,
} from "./nodes.ts";
import type { Change, Store } from "./store.ts";
import type { Transaction } from "./transaction.ts";
import { XenstoreError } from "./wire.ts";

/** Where a view looks nodes up and puts changed ones: the store itself, or a transaction. */
export interface Nodes {
  read(path: string): StoreNode | undefined;
  /** Of a node that has been read. Undefined: it is removed. */
  replace(path: string, node: StoreNode | undefined): void;
}

type Update = readonly [path: string, node: StoreNode];

/**
 * What one domain may see and change, in the store or (`transaction`) in a transaction of its own. Paths are absolute and
 * valid. All methods check the domain's permissions and quotas, and throw XenstoreError; one that throws has changed
 * nothing.
 */
export class View {
  readonly #domid: number;
  readonly #store: Store;
  readonly #transaction: Transaction | undefined;
  readonly #nodes: Nodes;
  /** Changes that watches have to hear of now; a transaction keeps its own. */
  readonly changes: Change[] = [];

  constructor(store: Store, domid: number, transaction?: Transaction) {
    this.#store = store;
    this.#domid = domid;
    this.#transaction = transaction;
    this.#nodes = transaction ?? {
      read: (path) => store.get(path),
      replace: (path, node) => (node === undefined ? store.delete(path) : store.set(path, node)),
    };
  }

  /** The node at `path`. EACCES, or ENOENT where the domain may know that there is none. */
  get(path: string): StoreNode {
    const node = this.#find(path, "r");
    if (node === undefined) throw new XenstoreError("ENOENT");
    return node;
  }

  /** Writes a node; it is made if it is missing, and whatever is missing above it. */
  write(path: string, value: Uint8Array): void {
    const node = this.#find(path, "w");
    this.#put(node === undefined ? this.#construct(path, value) : [[path, { ...node, value }]]);
    this.#note(path, false);
  }

  /** Makes an empty node and whatever is missing above it; a node that is there stays as it is. */
  mkdir(path: string): void {
    if (this.#find(path, "w") !== undefined) return;
    this.#put(this.#construct(path, new Uint8Array(0)));
    this.#note(path, false);
  }

  /**
   * Removes a subtree. A node that is not there is fine if its parent is. A transaction that will end with EAGAIN may find a
   * node whose parent it has removed (EINVAL, as xenstored answers), or a name without its node.
   */
  rm(path: string): void {
    const above = parentOf(path);
    if (this.#find(path, "w") === undefined) {
      if (this.#nodes.read(above) === undefined) throw new XenstoreError("ENOENT");
      return;
    }
    if (path === "/") throw new XenstoreError("EINVAL");
    const parent = this.#nodes.read(above);
    if (parent === undefined) throw new XenstoreError("EINVAL");
    const gone = this.#subtree(path);
    for (const each of gone) this.#note(each, each !== path);
    for (const each of gone) this.#nodes.replace(each, undefined);
    const name = nameOf(path);
    const children = parent.children.filter((child) => child !== name);
    this.#nodes.replace(above, { ...parent, children, generation: this.#store.nextGeneration() });
  }

  setPermissions(path: string, permissions: readonly Permission[]): void {
    const isLimited = this.#domid !== ROOT_DOMID;
    if (isLimited && permissions.length > XENSTORE_LIMITS.permissionsPerNode) {
      throw new XenstoreError("ENOSPC");
    }
    const node = this.#find(path, "w");
    if (node === undefined) throw new XenstoreError("ENOENT");
    if (isLimited && ownerOf(node) !== this.#domid) throw new XenstoreError("EACCES");
    if (isLimited && permissions[0]!.domid !== this.#domid) throw new XenstoreError("EPERM");
    this.#put([[path, { ...node, permissions }]]);
    // Who could read it until now hears of it as well.
    this.#note(path, false, node.permissions);
  }

  /** Undefined if there is no node and the domain may know that. */
  #find(path: string, wanted: "r" | "w"): StoreNode | undefined {
    const node = this.#nodes.read(path);
    if (node !== undefined) {
      if (allows(node.permissions, this.#domid, wanted)) return node;
      throw new XenstoreError("EACCES");
    }
    // The nearest node above decides (errno_from_parents of xenstored).
    const [parent] = this.#nearest(parentOf(path));
    if (allows(parent.permissions, this.#domid, wanted)) return undefined;
    throw new XenstoreError("EACCES");
  }

  /** The node at `path` or the nearest above, its path, and the paths that are missing below it, the lowest first. */
  #nearest(path: string): [node: StoreNode, path: string, missing: string[]] {
    const missing: string[] = [];
    for (let above = path; ; above = parentOf(above)) {
      const node = this.#nodes.read(above);
      if (node !== undefined) return [node, above, missing];
      missing.push(above);
    }
  }

  /** A new node, those that are missing above it, and the one that is there, with its new child. */
  #construct(path: string, value: Uint8Array): Update[] {
    const [parent, above, missing] = this.#nearest(path);
    // A guest owns what it makes; what it inherits is who else may do what.
    const [owner, ...others] = parent.permissions;
    const permissions =
      this.#domid === ROOT_DOMID
        ? parent.permissions
        : [{ domid: this.#domid, access: owner!.access }, ...others];
    const updates = missing.map((each, i): Update => {
      const children = i === 0 ? [] : [nameOf(missing[i - 1]!)];
      const own = i === 0 ? value : new Uint8Array(0);
      return [each, { value: own, permissions, children, generation: 0 }];
    });
    const children = [...parent.children, nameOf(missing.at(-1)!)];
    return [...updates, [above, { ...parent, children }]];
  }

  /** Puts nodes in their places, all or none. */
  #put(updates: readonly Update[]): void {
    if (this.#domid !== ROOT_DOMID) this.#checkQuotas(updates);
    for (const [path, node] of updates) {
      this.#nodes.replace(path, { ...node, generation: this.#store.nextGeneration() });
    }
  }

  #checkQuotas(updates: readonly Update[]): void {
    let made = 0;
    let bytes = 0;
    for (const [path, node] of updates) {
      const size = nodeBytes(node);
      if (size >= XENSTORE_LIMITS.nodeBytes) throw new XenstoreError("ENOSPC");
      const before = this.#nodes.read(path);
      if (before === undefined) made++;
      bytes += size + (before === undefined ? path.length : -nodeBytes(before));
    }
    const account = this.#store.account(this.#domid);
    if (made > 0 && !account.hasRoomForNodes(made + (this.#transaction?.nodesAdded ?? 0))) {
      throw new XenstoreError("ENOSPC");
    }
    if (!account.hasRoomForBytes(bytes)) throw new XenstoreError("ENOMEM");
  }

  /** Paths of a subtree, each behind those below it. */
  #subtree(path: string, paths: string[] = []): string[] {
    const node = this.#nodes.read(path);
    if (node === undefined) return paths;
    for (const name of node.children) this.#subtree(childPath(path, name), paths);
    paths.push(path);
    return paths;
  }

  /** Before a node is removed, or after it was changed: who may read it or the node above may know. */
  #note(path: string, isExact: boolean, before?: readonly Permission[]): void {
    if (this.#transaction !== undefined) {
      this.#transaction.note(path, isExact);
      return;
    }
    const permissions = before === undefined ? [] : [before];
    permissions.push(this.#store.get(path)!.permissions);
    if (path !== "/") permissions.push(this.#store.get(parentOf(path))!.permissions);
    this.changes.push({ path, isExact, permissions });
  }
}
