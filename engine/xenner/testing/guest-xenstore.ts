import { Xenstore } from "../xenstore/xenstore.ts";
import { ArrayMemory } from "./memory.ts";
import { XenstoreClient } from "./xenstore-client.ts";

/** Where the ring is; the pages beside it are full of 0xaa. */
export const RING_PAGE = 0x3000;
export const HOME = "/local/domain/1";
export const UUID = "12345678-1234-4234-8234-123456789abc";

/** A guest's xenstore as xl made it, and the guest at the other side of the ring. */
export class GuestXenstore {
  readonly memory = new ArrayMemory(5);
  /** May be replaced, by one that was saved. */
  store: Xenstore;
  readonly guest: XenstoreClient;

  constructor() {
    const { memory } = this;
    memory.write(RING_PAGE - 4096, new Uint8Array(4096).fill(0xaa));
    memory.write(RING_PAGE + 4096, new Uint8Array(4096).fill(0xaa));
    this.store = new Xenstore(memory, RING_PAGE, 1);
    this.store.initialise();
    this.store.populate({
      name: "guest",
      uuid: UUID,
      memoryKiB: 131072,
      consoleMfn: 6,
      consolePort: 2,
      storeMfn: 5,
      storePort: 1,
    });
    this.guest = new XenstoreClient(memory, RING_PAGE, () => this.store.serve());
  }
}
