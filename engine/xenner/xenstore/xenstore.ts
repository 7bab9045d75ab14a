import type { PhysicalMemory } from "../../cpu/types.ts";
import { Connection, type SavedConnection } from "./connection.ts";
import { type Permission, ROOT_DOMID } from "./nodes.ts";
import { type OldXenstore, upgrade } from "./old-state.ts";
import { type SavedRing, XenstoreRing } from "./ring.ts";
import { type SavedStore, Store } from "./store.ts";
import { View } from "./view.ts";
import { toBytes } from "./wire.ts";

export interface SavedXenstore {
  readonly store: SavedStore;
  readonly connection: SavedConnection;
  readonly ring: SavedRing;
}

/** The xenstore of a host with one guest: the tree, and the guest's connection to it over its ring. */
export class Xenstore {
  readonly #domid: number;
  readonly #store: Store;
  readonly #connection: Connection;
  readonly #ring: XenstoreRing;

  /** `page`: guest-physical address of the ring page. */
  constructor(memory: PhysicalMemory, page: number, domid: number, from?: SavedXenstore | OldXenstore) {
    const saved = from === undefined ? undefined : upgrade(from);
    this.#domid = domid;
    this.#store = saved === undefined ? new Store() : Store.restore(saved.store);
    this.#ring = new XenstoreRing(memory, page, this.#store.account(domid));
    this.#connection = new Connection(
      this.#store,
      domid,
      (reply) => this.#ring.send(reply),
      (text) => this.#ring.sendEvent(text),
      (changes) => this.#connection.notify(changes),
    );
    if (saved !== undefined) {
      this.#connection.restore(saved.connection);
      this.#ring.restore(saved.ring);
    }
  }

  /** Start of day: see XenstoreRing.initialise. */
  initialise(): void {
    this.#ring.initialise();
  }

  /** The guest notified its event channel. True if the guest has to be notified in turn. */
  serve(): boolean {
    return this.#ring.serve((request) => this.#connection.serve(request));
  }

  /**
   * Writes a node as the toolstack (dom0), creating what is missing. `permissions` replace those inherited. True if the
   * guest has to be notified, because it watches the node.
   */
  write(path: string, value: string, permissions?: readonly Permission[]): boolean {
    const view = new View(this.#store, ROOT_DOMID);
    view.write(path, toBytes(value));
    if (permissions !== undefined) view.setPermissions(path, permissions);
    this.#connection.notify(view.changes);
    return this.#ring.flush();
  }

  /**
   * What xl makes for a PV guest before it starts (tools/libs/light/libxl_create.c, libxl_console.c). The domain's home
   * is read-only to it, except for what a guest has to write.
   */
  populate(guest: {
    name: string;
    uuid: string;
    memoryKiB: number;
    consoleMfn: number;
    consolePort: number;
    storeMfn: number;
    storePort: number;
  }): void {
    const home = `/local/domain/${this.#domid}`;
    const readable: Permission[] = [
      { domid: ROOT_DOMID, access: "n" },
      { domid: this.#domid, access: "r" },
    ];
    const owned: Permission[] = [{ domid: this.#domid, access: "n" }];
    const put = (name: string, value: string, permissions = readable): void => {
      this.write(name === "" ? home : `${home}/${name}`, value, permissions);
    };
    this.write("/vm", "", [{ domid: ROOT_DOMID, access: "n" }]);
    this.write(`/vm/${guest.uuid}`, "", readable);
    this.write(`/vm/${guest.uuid}/name`, guest.name);
    this.write(`/vm/${guest.uuid}/uuid`, guest.uuid);
    this.write("/local", "", [{ domid: ROOT_DOMID, access: "n" }]);
    this.write("/local/domain", "", [{ domid: ROOT_DOMID, access: "n" }]);
    this.write("/local/domain/0", "", [{ domid: ROOT_DOMID, access: "r" }]);
    this.write("/local/domain/0/domid", "0");
    this.write("/local/domain/0/name", "Domain-0");
    put("", "");
    put("vm", `/vm/${guest.uuid}`);
    put("name", guest.name);
    put("domid", String(this.#domid));
    put("cpu", "");
    put("cpu/0", "");
    put("cpu/0/availability", "online");
    put("memory", "");
    put("memory/static-max", String(guest.memoryKiB));
    put("memory/target", String(guest.memoryKiB));
    put("memory/videoram", "0");
    put("device", "");
    put("device/suspend", "");
    put("device/suspend/event-channel", "", owned);
    put("control", "");
    put("control/shutdown", "", owned);
    put("control/feature-poweroff", "", owned);
    put("control/feature-reboot", "", owned);
    put("control/feature-suspend", "", owned);
    put("control/sysrq", "", owned);
    put("control/platform-feature-multiprocessor-suspend", "1");
    put("control/platform-feature-xs_reset_watches", "1");
    put("data", "", owned);
    put("drivers", "", owned);
    put("feature", "", owned);
    put("attr", "", owned);
    put("error", "", owned);
    put("store", "");
    put("store/port", String(guest.storePort));
    put("store/ring-ref", String(guest.storeMfn));
    put("console", "");
    put("console/backend", `/local/domain/0/backend/console/${this.#domid}/0`);
    put("console/backend-id", "0");
    put("console/limit", "1048576");
    put("console/type", "xenconsoled");
    put("console/output", "pty");
    put("console/tty", "");
    put("console/port", String(guest.consolePort));
    put("console/ring-ref", String(guest.consoleMfn));
    put("console/vnc-listen", "");
  }

  save(): SavedXenstore {
    return { store: this.#store.save(), connection: this.#connection.save(), ring: this.#ring.save() };
  }
}
