import { XENSTORE_LIMITS } from "../../limits.ts";
import { ROOT_DOMID } from "./nodes.ts";

/**
 * What one domain takes up: nodes it owns, and bytes of nodes, transactions, watches and messages that it has not taken
 * (xenstored counts the same in struct domain).
 */
export class Account {
  readonly #isLimited: boolean;
  nodes = 0;
  bytes = 0;

  constructor(domid: number) {
    this.#isLimited = domid !== ROOT_DOMID;
  }

  hasRoomForNodes(count: number): boolean {
    return !this.#isLimited || this.nodes + count <= XENSTORE_LIMITS.nodesPerDomain;
  }

  hasRoomForBytes(count: number): boolean {
    return !this.#isLimited || count <= 0 || this.bytes + count <= XENSTORE_LIMITS.bytesPerDomain;
  }
}
