import { XENSTORE_LIMITS } from "../../limits.ts";
import type { Account } from "./account.ts";
import { nodeBytes, ownerOf, type Permission, parentOf, type StoreNode } from "./nodes.ts";
import type { Change, Store } from "./store.ts";
import type { Nodes } from "./view.ts";
import { decodePermissions, encodePermissions, fromBase64, toBase64, XenstoreError } from "./wire.ts";

/** The generation noted for a node that does not exist. */
const ABSENT = -1;

/** A node that the transaction has looked at or changed (struct accessed_node of xenstored). */
interface Accessed {
  /** What it was when first looked at: its generation, or ABSENT, and its permissions. */
  readonly generation: number;
  readonly permissions: readonly Permission[] | undefined;
  /** The transaction's own copy; undefined: there is none, or it was removed. */
  node: StoreNode | undefined;
  isModified: boolean;
  /** What watches will have to hear of. */
  event: "none" | "exact" | "subtree";
}

type SavedCopy = readonly [
  value: string,
  permissions: string,
  children: readonly string[],
  generation: number,
];

export interface SavedTransaction {
  readonly id: number;
  readonly hasFailed: boolean;
  readonly accessed: readonly {
    readonly path: string;
    readonly generation: number;
    readonly permissions: string | null;
    readonly node: SavedCopy | null;
    readonly isModified: boolean;
    readonly event: Accessed["event"];
  }[];
}

/**
 * Nodes as one transaction sees them: those it has looked at as they were then, or as it has changed them. Its copies
 * count for the domain until `release`.
 */
export class Transaction implements Nodes {
  readonly #store: Store;
  readonly #domid: number;
  readonly #account: Account;
  readonly #accessed = new Map<string, Accessed>();
  /** It could not note what it depends on, so it must not be committed. */
  #hasFailed = false;

  constructor(store: Store, domid: number) {
    this.#store = store;
    this.#domid = domid;
    this.#account = store.account(domid);
  }

  read(path: string): StoreNode | undefined {
    const known = this.#accessed.get(path);
    if (known !== undefined) return known.node;
    const node = this.#store.get(path);
    const bytes = copyBytes(path, node);
    if (this.#accessed.size >= XENSTORE_LIMITS.nodesPerTransaction) this.#fail("ENOSPC");
    if (!this.#account.hasRoomForBytes(bytes)) this.#fail("ENOMEM");
    this.#account.bytes += bytes;
    this.#accessed.set(path, {
      generation: node?.generation ?? ABSENT,
      permissions: node?.permissions,
      node,
      isModified: false,
      event: "none",
    });
    return node;
  }

  replace(path: string, node: StoreNode | undefined): void {
    const accessed = this.#accessed.get(path)!;
    this.#account.bytes += copyBytes(path, node) - copyBytes(path, accessed.node);
    accessed.node = node;
    accessed.isModified = true;
  }

  /** Watches hear of it when the transaction ends. */
  note(path: string, isExact: boolean): void {
    const accessed = this.#accessed.get(path)!;
    if (!isExact) accessed.event = "subtree";
    else if (accessed.event === "none") accessed.event = "exact";
  }

  /** How many more nodes the domain owns here than outside. */
  get nodesAdded(): number {
    let count = 0;
    for (const { node, permissions } of this.#accessed.values()) {
      if (node !== undefined && ownerOf(node) === this.#domid) count++;
      if (permissions !== undefined && permissions[0]!.domid === this.#domid) count--;
    }
    return count;
  }

  /**
   * Everything that was changed happens at once, if no node that was looked at has changed meanwhile. Returns what watches
   * have to hear of.
   *
   * @throws XenstoreError EAGAIN on such a conflict; ENOSPC, ENOMEM if a quota forbids it
   */
  commit(): Change[] {
    if (this.#hasFailed) throw new XenstoreError("ENOMEM");
    for (const [path, { generation }] of this.#accessed) {
      if ((this.#store.get(path)?.generation ?? ABSENT) !== generation) throw new XenstoreError("EAGAIN");
    }
    const added = this.nodesAdded;
    if (added > 0 && !this.#account.hasRoomForNodes(added)) throw new XenstoreError("ENOSPC");
    for (const [path, { node, isModified }] of this.#accessed) {
      if (!isModified) continue;
      if (node === undefined) this.#store.delete(path);
      else this.#store.set(path, { ...node, generation: this.#store.nextGeneration() });
    }
    const changes: Change[] = [];
    for (const [path, { permissions, event }] of this.#accessed) {
      if (event === "none") continue;
      const readers = permissions === undefined ? [] : [permissions];
      const now = this.#store.get(path);
      if (now !== undefined) {
        readers.push(now.permissions);
        if (path !== "/") readers.push(this.#store.get(parentOf(path))!.permissions);
      }
      changes.push({ path, isExact: event === "exact", permissions: readers });
    }
    return changes;
  }

  /** Once, when the transaction is over, whatever came of it. */
  release(): void {
    for (const [path, { node }] of this.#accessed) this.#account.bytes -= copyBytes(path, node);
    this.#accessed.clear();
  }

  save(id: number): SavedTransaction {
    const accessed = [...this.#accessed].map(([path, { permissions, node, ...flags }]) => ({
      path,
      ...flags,
      permissions: permissions === undefined ? null : encodePermissions(permissions),
      node: node === undefined ? null : saveCopy(node),
    }));
    return { id, hasFailed: this.#hasFailed, accessed };
  }

  static restore(store: Store, domid: number, saved: SavedTransaction): Transaction {
    const transaction = new Transaction(store, domid);
    transaction.#hasFailed = saved.hasFailed;
    for (const { path, permissions, node, ...flags } of saved.accessed) {
      const copy = node === null ? undefined : restoreCopy(node);
      transaction.#account.bytes += copyBytes(path, copy);
      transaction.#accessed.set(path, {
        ...flags,
        permissions: permissions === null ? undefined : restorePermissions(permissions),
        node: copy,
      });
    }
    return transaction;
  }

  #fail(errno: "ENOSPC" | "ENOMEM"): never {
    this.#hasFailed = true;
    throw new XenstoreError(errno);
  }
}

function copyBytes(path: string, node: StoreNode | undefined): number {
  return path.length + (node === undefined ? 0 : nodeBytes(node));
}

function saveCopy({ value, permissions, children, generation }: StoreNode): SavedCopy {
  return [toBase64(value), encodePermissions(permissions), children, generation];
}

function restoreCopy([value, permissions, children, generation]: SavedCopy): StoreNode {
  return { value: fromBase64(value), permissions: restorePermissions(permissions), children, generation };
}

function restorePermissions(text: string): Permission[] {
  return decodePermissions(text.split("\0").slice(0, -1));
}
