import { Account } from "./account.ts";
import { childPath, nodeBytes, ownerOf, type Permission, ROOT_DOMID, type StoreNode } from "./nodes.ts";
import { decodePermissions, encodePermissions, fromBase64, toBase64 } from "./wire.ts";

/** A saved node: name, value in base64, permissions as on the wire, generation, children. Plain JSON. */
export type SavedNode = readonly [
  name: string,
  value: string,
  permissions: string,
  generation: number,
  children: readonly SavedNode[],
];

export interface SavedStore {
  readonly generation: number;
  readonly root: SavedNode;
}

/** Something happened to a node of which watches have to hear. */
export interface Change {
  readonly path: string;
  /** Only watches of this very node hear of it, not those of nodes above. */
  readonly isExact: boolean;
  /** Who may read by any of these may know. */
  readonly permissions: readonly (readonly Permission[])[];
}

/** The nodes that everyone sees, by path, their clock of changes, and what each domain takes up. */
export class Store {
  readonly #nodes = new Map<string, StoreNode>();
  readonly #accounts = new Map<number, Account>();
  #generation = 0;

  constructor() {
    this.set("/", {
      value: new Uint8Array(0),
      permissions: [{ domid: ROOT_DOMID, access: "n" }],
      children: [],
      generation: 0,
    });
  }

  nextGeneration(): number {
    return ++this.#generation;
  }

  account(domid: number): Account {
    let account = this.#accounts.get(domid);
    if (account === undefined) {
      account = new Account(domid);
      this.#accounts.set(domid, account);
    }
    return account;
  }

  get(path: string): StoreNode | undefined {
    return this.#nodes.get(path);
  }

  /** Puts a node in its place, whatever quotas say. The node above has to name it. */
  set(path: string, node: StoreNode): void {
    this.delete(path);
    this.#nodes.set(path, node);
    const account = this.account(ownerOf(node));
    account.nodes++;
    account.bytes += path.length + nodeBytes(node);
  }

  /** Of this node only: those below and the name in the node above are the caller's. */
  delete(path: string): void {
    const node = this.#nodes.get(path);
    if (node === undefined) return;
    this.#nodes.delete(path);
    const account = this.account(ownerOf(node));
    account.nodes--;
    account.bytes -= path.length + nodeBytes(node);
  }

  save(): SavedStore {
    return { generation: this.#generation, root: this.#saveNode("", "/") };
  }

  static restore(saved: SavedStore): Store {
    const store = new Store();
    store.#generation = saved.generation;
    store.#restoreNode("/", saved.root);
    return store;
  }

  #saveNode(name: string, path: string): SavedNode {
    const node = this.#nodes.get(path)!;
    const children = node.children.map((child) => this.#saveNode(child, childPath(path, child)));
    return [name, toBase64(node.value), encodePermissions(node.permissions), node.generation, children];
  }

  #restoreNode(path: string, [, value, permissions, generation, children]: SavedNode): void {
    this.set(path, {
      value: fromBase64(value),
      permissions: decodePermissions(permissions.split("\0").slice(0, -1)),
      children: children.map(([name]) => name),
      generation,
    });
    for (const child of children) this.#restoreNode(childPath(path, child[0]), child);
  }
}
