import { XENSTORE_LIMITS } from "../../limits.ts";
import type { Account } from "./account.ts";
import { allows, type StoreNode } from "./nodes.ts";
import type { Change, Store } from "./store.ts";
import { type SavedTransaction, Transaction } from "./transaction.ts";
import { View } from "./view.ts";
import {
  decodePermissions,
  encodePermissions,
  type Message,
  PATH_MAX,
  PAYLOAD_MAX,
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
/** Does not count for the length of a path. */
const DOMAIN_PREFIX = /^\/local\/domain\/[0-9]{1,5}\//;
const OK = "OK\0";
/** Requests that a guest may make, and those of them whose transaction id means nothing. */
const REQUESTS = new Set<number>([
  XS.DIRECTORY,
  XS.READ,
  XS.GET_PERMS,
  XS.WATCH,
  XS.UNWATCH,
  XS.TRANSACTION_START,
  XS.TRANSACTION_END,
  XS.GET_DOMAIN_PATH,
  XS.WRITE,
  XS.MKDIR,
  XS.RM,
  XS.SET_PERMS,
  XS.RESET_WATCHES,
  XS.DIRECTORY_PART,
]);
const WITHOUT_TRANSACTION = new Set<number>([XS.WATCH, XS.UNWATCH]);
/** Requests that only a privileged domain may make. */
const PRIVILEGED = new Set<number>([
  XS.CONTROL,
  XS.INTRODUCE,
  XS.RELEASE,
  XS.IS_DOMAIN_INTRODUCED,
  XS.RESUME,
  XS.SET_TARGET,
]);

/**
 * One client's session: its requests, transactions and watches, as xenstored treats a domU
 * (tools/xenstore/xenstored_core.c and its neighbours).
 */
export class Connection {
  readonly #domid: number;
  readonly #store: Store;
  readonly #account: Account;
  readonly #send: (reply: Message) => void;
  readonly #sendEvent: (text: string) => void;
  readonly #changed: (changes: readonly Change[]) => void;
  #watches: Watch[] = [];
  readonly #transactions = new Map<number, Transaction>();
  #nextTransaction = 1;

  /**
   * `send` takes replies, `sendEvent` the text of watch events; `changed` hears of changes this connection makes, and
   * passes them on to all connections' `notify`.
   */
  constructor(
    store: Store,
    domid: number,
    send: (reply: Message) => void,
    sendEvent: (text: string) => void,
    changed: (changes: readonly Change[]) => void,
  ) {
    this.#store = store;
    this.#domid = domid;
    this.#account = store.account(domid);
    this.#send = send;
    this.#sendEvent = sendEvent;
    this.#changed = changed;
  }

  /** Serves one request: the events it causes, then exactly one reply (XS_ERROR if it fails). */
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
    for (const { path, isExact, permissions } of changes) {
      if (!permissions.some((each) => allows(each, this.#domid, "r"))) continue;
      for (const watch of this.#watches) {
        const isBelow = watch.path === "/" || path.startsWith(`${watch.path}/`);
        if (watch.path === path || (isBelow && !isExact)) this.#fire(watch, path);
      }
    }
  }

  save(): SavedConnection {
    return {
      watches: this.#watches,
      transactions: [...this.#transactions].map(([id, transaction]) => transaction.save(id)),
      nextTransaction: this.#nextTransaction,
    };
  }

  restore(saved: SavedConnection): void {
    this.#watches = [...saved.watches];
    for (const watch of this.#watches) this.#account.bytes += watchBytes(watch);
    this.#nextTransaction = saved.nextTransaction;
    for (const each of saved.transactions) {
      this.#transactions.set(each.id, Transaction.restore(this.#store, this.#domid, each));
    }
  }

  /** The reply's payload. */
  #dispatch(request: Message): string | Uint8Array {
    const { type, transactionId } = request;
    if (PRIVILEGED.has(type)) throw new XenstoreError("EACCES");
    if (!REQUESTS.has(type)) throw new XenstoreError("ENOSYS");
    let transaction: Transaction | undefined;
    if (transactionId !== 0 && !WITHOUT_TRANSACTION.has(type)) {
      transaction = this.#transactions.get(transactionId);
      if (transaction === undefined) throw new XenstoreError("ENOENT");
    }
    const view = new View(this.#store, this.#domid, transaction);
    const answer = this.#answer(request, view, transaction);
    this.#changed(view.changes);
    return answer;
  }

  #answer(
    { type, transactionId, payload }: Message,
    view: View,
    transaction: Transaction | undefined,
  ): string | Uint8Array {
    switch (type) {
      case XS.DIRECTORY:
        return this.#directory(view.get(this.#path(oneString(payload))));
      case XS.DIRECTORY_PART: {
        const [path, offset] = strings(payload, 2);
        return this.#directoryPart(view.get(this.#path(path!)), offset!);
      }
      case XS.READ:
        return view.get(this.#path(oneString(payload))).value;
      case XS.GET_PERMS:
        return encodePermissions(view.get(this.#path(oneString(payload))).permissions);
      case XS.WRITE: {
        const end = payload.indexOf(0);
        if (end < 0) throw new XenstoreError("EINVAL");
        view.write(this.#path(toText(payload.subarray(0, end))), payload.slice(end + 1));
        return OK;
      }
      case XS.MKDIR:
        view.mkdir(this.#path(oneString(payload)));
        return OK;
      case XS.RM:
        view.rm(this.#path(oneString(payload)));
        return OK;
      case XS.SET_PERMS: {
        const [path, ...texts] = strings(payload);
        const permissions = decodePermissions(texts);
        // Who may hear of special events is not a guest's to say.
        if (path!.startsWith("@")) throw new XenstoreError("EACCES");
        view.setPermissions(this.#path(path!), permissions);
        return OK;
      }
      case XS.WATCH:
        this.#addWatch(payload);
        return OK;
      case XS.UNWATCH:
        this.#removeWatch(payload);
        return OK;
      case XS.RESET_WATCHES:
        this.#reset();
        return OK;
      case XS.TRANSACTION_START:
        if (transaction !== undefined) throw new XenstoreError("EBUSY");
        return `${this.#startTransaction()}\0`;
      case XS.TRANSACTION_END:
        this.#endTransaction(transactionId, oneString(payload));
        return OK;
      default: // XS.GET_DOMAIN_PATH
        return `/local/domain/${domainId(oneString(payload))}\0`;
    }
  }

  /** The absolute form of a valid path (is_valid_nodename of xenstored); relative paths start at the domain's home. */
  #path(path: string): string {
    const absolute = path.startsWith("/") ? path : this.#home + path;
    const prefix = DOMAIN_PREFIX.exec(absolute)?.[0].length ?? 0;
    if (path.startsWith("@") || absolute.length - prefix > PATH_MAX) throw new XenstoreError("EINVAL");
    if (!NODE_NAME.test(path) || absolute.includes("//")) throw new XenstoreError("EINVAL");
    if (path.endsWith("/") && path !== "/") throw new XenstoreError("EINVAL");
    return absolute;
  }

  get #home(): string {
    return `/local/domain/${this.#domid}/`;
  }

  #directory(node: StoreNode): string {
    const names = node.children.map((name) => `${name}\0`).join("");
    if (names.length > PAYLOAD_MAX) throw new XenstoreError("E2BIG");
    return names;
  }

  /** The part of a long directory from byte `offset` on, behind the generation that tells parts of two states apart. */
  #directoryPart(node: StoreNode, offset: string): string {
    const generation = `${node.generation}\0`;
    const names = node.children.map((name) => `${name}\0`).join("");
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
    if (this.#watches.length >= XENSTORE_LIMITS.watchesPerDomain) throw new XenstoreError("E2BIG");
    if (!this.#account.hasRoomForBytes(watchBytes(watch))) throw new XenstoreError("ENOMEM");
    this.#account.bytes += watchBytes(watch);
    this.#watches.push(watch);
  }

  #removeWatch(payload: Uint8Array): void {
    const [path, token] = strings(payload, 2);
    const index = this.#findWatch(this.#watchFor(path!, token!));
    if (index < 0) throw new XenstoreError("ENOENT");
    for (const watch of this.#watches.splice(index, 1)) this.#account.bytes -= watchBytes(watch);
  }

  /** Forgets watches and transactions: the guest begins anew, as after a kexec. */
  #reset(): void {
    for (const watch of this.#watches) this.#account.bytes -= watchBytes(watch);
    this.#watches = [];
    for (const transaction of this.#transactions.values()) transaction.release();
    this.#transactions.clear();
  }

  #watchFor(path: string, token: string): Watch {
    if (!path.startsWith("@")) {
      return { path: this.#path(path), token, isRelative: !path.startsWith("/") };
    }
    if (path.length > PATH_MAX) throw new XenstoreError("EINVAL");
    return { path, token, isRelative: false };
  }

  #findWatch({ path, token }: Watch): number {
    return this.#watches.findIndex((watch) => watch.path === path && watch.token === token);
  }

  #fire(watch: Watch, path: string): void {
    const home = this.#home;
    const name = watch.isRelative && path.startsWith(home) ? path.slice(home.length) : path;
    this.#sendEvent(`${name}\0${watch.token}\0`);
  }

  #startTransaction(): number {
    if (this.#transactions.size >= XENSTORE_LIMITS.transactionsPerDomain) throw new XenstoreError("ENOSPC");
    const id = this.#nextTransaction;
    // 0 means "none"; a guest would have to start four billion to come round to one that is still open.
    this.#nextTransaction = (id % 0xffffffff) + 1;
    this.#transactions.set(id, new Transaction(this.#store, this.#domid));
    return id;
  }

  #endTransaction(id: number, answer: string): void {
    if (answer !== "T" && answer !== "F") throw new XenstoreError("EINVAL");
    const transaction = this.#transactions.get(id);
    if (transaction === undefined) throw new XenstoreError("ENOENT");
    this.#transactions.delete(id);
    try {
      if (answer === "T") this.#changed(transaction.commit());
    } finally {
      transaction.release();
    }
  }
}

function watchBytes({ path, token }: Watch): number {
  return path.length + token.length;
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
