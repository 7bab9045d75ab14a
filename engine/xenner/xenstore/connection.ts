import { XENSTORE_LIMITS } from "../../limits.ts";
import {
  type Change,
  decodePermissions,
  encodePermissions,
  joinPath,
  type SavedTransaction,
  type Store,
  splitPath,
  View,
} from "./store.ts";
import { allows, lookup, type Path, ROOT_DOMID, type TreeNode } from "./tree.ts";
import {
  ABS_PATH_MAX,
  type Message,
  PAYLOAD_MAX,
  REL_PATH_MAX,
  toBytes,
  toText,
  XenstoreError,
  XS,
} from "./wire.ts";

interface Watch {
  /** Absolute, or a special event such as "@releaseDomain". */
  readonly path: string;
  readonly token: string;
  /** The client named the path relative to its home, and gets events the same way. */
  readonly isRelative: boolean;
}

export interface SavedConnection {
  readonly watches: readonly Watch[];
  readonly transactions: readonly SavedTransaction[];
  readonly nextTransaction: number;
}

const NODE_NAME = /^[A-Za-z0-9\-/_@]+$/;
const OK = "OK\0";
/** Requests that only a privileged domain may make. */
const PRIVILEGED = new Set<number>([XS.CONTROL, XS.INTRODUCE, XS.RELEASE, XS.RESUME, XS.SET_TARGET]);

/**
 * One client's session: its requests, transactions and watches, as xenstored treats a domU
 * (tools/xenstore/xenstored_core.c and its neighbours).
 */
export class Connection {
  readonly domid: number;
  readonly #store: Store;
  readonly #send: (message: Message) => void;
  readonly #changed: (changes: readonly Change[]) => void;
  #watches: Watch[] = [];
  readonly #transactions = new Map<number, View>();
  #nextTransaction = 1;

  /**
   * `send` takes replies and watch events; `changed` hears of changes this connection makes, and passes them on to all
   * connections' `notify`.
   */
  constructor(
    store: Store,
    domid: number,
    send: (message: Message) => void,
    changed: (changes: readonly Change[]) => void,
  ) {
    this.#store = store;
    this.domid = domid;
    this.#send = send;
    this.#changed = changed;
  }

  /** Serves one request: exactly one reply (XS_ERROR if it fails), then the events it causes. */
  serve(request: Message): void {
    const reply = (type: number, payload: string | Uint8Array): void => {
      const bytes = typeof payload === "string" ? toBytes(payload) : payload;
      const { requestId, transactionId } = request;
      this.#send({ type, requestId, transactionId, payload: bytes });
    };
    try {
      reply(request.type, this.#dispatch(request));
    } catch (error) {
      if (!(error instanceof XenstoreError)) throw error;
      reply(XS.ERROR, `${error.errno}\0`);
      return;
    }
    // A new watch fires once, so that its owner need not ask for the present state separately.
    if (request.type === XS.WATCH) this.#fire(this.#watches.at(-1)!, this.#watches.at(-1)!.path);
  }

  /** Tells this connection's watches about changes. */
  notify(changes: readonly Change[]): void {
    for (const change of changes) {
      const path = joinPath(change.path);
      for (const watch of this.#watches) {
        const isAtOrBelow = watch.path === path || watch.path === "/" || path.startsWith(`${watch.path}/`);
        if (isAtOrBelow) {
          if (allows(change.node, this.domid, "r")) this.#fire(watch, path);
          continue;
        }
        // A removed subtree takes watched nodes with it.
        if (!change.wasRemoved || !watch.path.startsWith(`${path === "/" ? "" : path}/`)) continue;
        const gone = lookup(change.node, splitPath(watch.path).slice(change.path.length));
        if (gone !== undefined && allows(gone, this.domid, "r")) this.#fire(watch, watch.path);
      }
    }
  }

  save(): SavedConnection {
    return {
      watches: this.#watches,
      transactions: [...this.#transactions].map(([id, view]) => view.saveTransaction(id)),
      nextTransaction: this.#nextTransaction,
    };
  }

  restore(saved: SavedConnection): void {
    this.#watches = [...saved.watches];
    this.#nextTransaction = saved.nextTransaction;
    for (const transaction of saved.transactions) {
      const view = View.restoreTransaction(this.#store, this.domid, transaction);
      this.#transactions.set(transaction.id, view);
    }
  }

  /** The reply's payload. */
  #dispatch(request: Message): string | Uint8Array {
    const { type, payload } = request;
    if (PRIVILEGED.has(type) && this.domid !== ROOT_DOMID) throw new XenstoreError("EACCES");
    const view = this.#viewOf(request.transactionId);
    switch (type) {
      case XS.DIRECTORY:
        return this.#directory(view.get(this.#path(oneString(payload)), "r"));
      case XS.DIRECTORY_PART: {
        const [path, offset] = strings(payload, 2);
        return this.#directoryPart(view.get(this.#path(path!), "r"), offset!);
      }
      case XS.READ:
        return view.get(this.#path(oneString(payload)), "r").value;
      case XS.GET_PERMS:
        return encodePermissions(view.get(this.#path(oneString(payload)), "r").permissions);
      case XS.WRITE: {
        const end = payload.indexOf(0);
        if (end < 0) throw new XenstoreError("EINVAL");
        view.write(this.#path(toText(payload.subarray(0, end))), payload.slice(end + 1));
        break;
      }
      case XS.MKDIR:
        view.mkdir(this.#path(oneString(payload)));
        break;
      case XS.RM:
        view.rm(this.#path(oneString(payload)));
        break;
      case XS.SET_PERMS: {
        const [path, ...permissions] = strings(payload);
        if (path === undefined) throw new XenstoreError("EINVAL");
        // Who may hear of special events is not a guest's to say.
        if (path.startsWith("@")) throw new XenstoreError("EACCES");
        view.setPermissions(this.#path(path), decodePermissions(permissions));
        break;
      }
      case XS.WATCH:
        this.#addWatch(payload);
        return OK;
      case XS.UNWATCH:
        this.#removeWatch(payload);
        return OK;
      case XS.RESET_WATCHES:
        this.#watches = [];
        this.#transactions.clear();
        return OK;
      case XS.TRANSACTION_START:
        return this.#startTransaction(request);
      case XS.TRANSACTION_END:
        this.#endTransaction(request);
        return OK;
      case XS.GET_DOMAIN_PATH:
        return `/local/domain/${domainId(oneString(payload))}\0`;
      case XS.IS_DOMAIN_INTRODUCED: {
        const domid = domainId(oneString(payload));
        return domid === ROOT_DOMID || domid === this.domid ? "T\0" : "F\0";
      }
      default:
        throw new XenstoreError("ENOSYS");
    }
    this.#reportChanges(view, request.transactionId);
    return OK;
  }

  #viewOf(transactionId: number): View {
    if (transactionId === 0) return new View(this.#store, this.domid, false);
    const view = this.#transactions.get(transactionId);
    if (view === undefined) throw new XenstoreError("ENOENT");
    return view;
  }

  #reportChanges(view: View, transactionId: number): void {
    // What happens in a transaction is nobody's business until it is committed.
    if (transactionId === 0) this.#changed(view.takeChanges());
  }

  /** The names of a valid path (is_valid_nodename of xenstored); relative paths start at the domain's home. */
  #path(path: string): Path {
    return splitPath(this.#absolute(path));
  }

  #absolute(path: string): string {
    const isRelative = !path.startsWith("/");
    if (path.length > (isRelative ? REL_PATH_MAX : ABS_PATH_MAX)) throw new XenstoreError("EINVAL");
    if (!NODE_NAME.test(path) || path.includes("//")) throw new XenstoreError("EINVAL");
    if (path.endsWith("/") && path !== "/") throw new XenstoreError("EINVAL");
    return isRelative ? this.#home + path : path;
  }

  get #home(): string {
    return `/local/domain/${this.domid}/`;
  }

  #directory(node: TreeNode): string {
    const names = [...node.children.keys()].map((name) => `${name}\0`).join("");
    if (names.length > PAYLOAD_MAX) throw new XenstoreError("E2BIG");
    return names;
  }

  /** The part of a long directory from byte `offset` on, behind the generation that tells parts of two states apart. */
  #directoryPart(node: TreeNode, offset: string): string {
    const generation = `${node.generation}\0`;
    const names = [...node.children.keys()].map((name) => `${name}\0`).join("");
    const start = /^[0-9]{1,9}$/.test(offset) ? Number(offset) : 0;
    if (start >= names.length) return `${generation}\0`;
    const room = PAYLOAD_MAX - generation.length - 1;
    if (names.length - start <= room) return `${generation}${names.slice(start)}\0`;
    const end = names.lastIndexOf("\0", start + room - 1) + 1;
    return generation + names.slice(start, Math.max(start, end));
  }

  #addWatch(payload: Uint8Array): void {
    const [path, token] = strings(payload, 2);
    const watch = this.#watchFor(path!, token!);
    if (this.#findWatch(watch) >= 0) throw new XenstoreError("EEXIST");
    if (this.domid !== ROOT_DOMID && this.#watches.length >= XENSTORE_LIMITS.watchesPerDomain) {
      throw new XenstoreError("E2BIG");
    }
    this.#watches.push(watch);
  }

  #removeWatch(payload: Uint8Array): void {
    const [path, token] = strings(payload, 2);
    const index = this.#findWatch(this.#watchFor(path!, token!));
    if (index < 0) throw new XenstoreError("ENOENT");
    this.#watches.splice(index, 1);
  }

  #watchFor(path: string, token: string): Watch {
    if (!path.startsWith("@")) {
      return { path: this.#absolute(path), token, isRelative: !path.startsWith("/") };
    }
    if (path.length > REL_PATH_MAX) throw new XenstoreError("EINVAL");
    return { path, token, isRelative: false };
  }

  #findWatch({ path, token }: Watch): number {
    return this.#watches.findIndex((watch) => watch.path === path && watch.token === token);
  }

  #fire(watch: Watch, path: string): void {
    const home = this.#home;
    const name = watch.isRelative && path.startsWith(home) ? path.slice(home.length) : path;
    const payload = toBytes(`${name}\0${watch.token}\0`);
    this.#send({ type: XS.WATCH_EVENT, requestId: 0, transactionId: 0, payload });
  }

  #startTransaction({ transactionId, payload }: Message): string {
    if (oneString(payload) !== "") throw new XenstoreError("EINVAL");
    if (transactionId !== 0) throw new XenstoreError("EBUSY");
    if (this.domid !== ROOT_DOMID && this.#transactions.size >= XENSTORE_LIMITS.transactionsPerDomain) {
      throw new XenstoreError("ENOSPC");
    }
    const id = this.#nextTransaction;
    // 0 means "none"; a guest would have to start four billion to come round to one that is still open.
    this.#nextTransaction = (id % 0xffffffff) + 1;
    this.#transactions.set(id, new View(this.#store, this.domid, true));
    return `${id}\0`;
  }

  #endTransaction({ transactionId, payload }: Message): void {
    const answer = oneString(payload);
    if (answer !== "T" && answer !== "F") throw new XenstoreError("EINVAL");
    const view = this.#transactions.get(transactionId);
    if (view === undefined) throw new XenstoreError("ENOENT");
    this.#transactions.delete(transactionId);
    if (answer === "F") return;
    view.commit();
    this.#changed(view.takeChanges());
  }
}

/** NUL-terminated strings that fill the payload; `count` of them if given. */
function strings(payload: Uint8Array, count?: number): string[] {
  if (payload.length === 0 || payload.at(-1) !== 0) throw new XenstoreError("EINVAL");
  const list = toText(payload.subarray(0, -1)).split("\0");
  if (count !== undefined && list.length !== count) throw new XenstoreError("EINVAL");
  return list;
}

function oneString(payload: Uint8Array): string {
  return strings(payload, 1)[0]!;
}

function domainId(text: string): number {
  if (!/^[0-9]{1,5}$/.test(text)) throw new XenstoreError("EINVAL");
  return Number(text);
}
