/*
 * A xenstore that is saved and made again, as in a checkpoint, goes on where it was, for the guest to see no difference. One
 * that was saved by an older version does so as far as it can.
 */
import { beforeEach, expect, test } from "vitest";
import { GuestXenstore, HOME, RING_PAGE } from "../testing/guest-xenstore.ts";
import type { ArrayMemory } from "../testing/memory.ts";
import { INDEX, type XenstoreClient } from "../testing/xenstore-client.ts";
import { encodeMessage, toBytes, XS } from "./wire.ts";
import { Xenstore } from "./xenstore.ts";

let host: GuestXenstore;
let memory: ArrayMemory;
let guest: XenstoreClient;

beforeEach(() => {
  host = new GuestXenstore();
  ({ memory, guest } = host);
});

const OK = "OK\0";

test("a saved store goes on where it was: nodes, watches, transactions, half a request", () => {
  guest.write("data/kept", "1");
  guest.watch("data", "w");
  guest.takeEvents();
  const tx = guest.begin();
  guest.write("data/in-tx", "2", tx);
  const request = encodeMessage({
    type: XS.READ,
    requestId: 77,
    transactionId: 0,
    payload: toBytes("data/kept\0"),
  });
  guest.put(request.subarray(0, 20));

  const saved = JSON.parse(JSON.stringify(host.store.save()));
  host.store = new Xenstore(memory, RING_PAGE, 1, saved);
  expect(JSON.parse(JSON.stringify(host.store.save()))).toEqual(saved);
  guest.put(request.subarray(20));
  expect(guest.take()).toMatchObject([{ requestId: 77, text: "1" }]);
  expect(guest.read("data/in-tx", tx)).toBe("2");
  expect(guest.read("data/in-tx")).toBe("ENOENT");
  expect(guest.end(tx)).toBe(OK);
  expect(guest.takeEvents()).toEqual(["data/in-tx w"]);
  expect(guest.begin()).toBe(tx + 1);
});

test("a store saved by version 1 goes on: values, watches, what was on its way; open transactions are to be made again", () => {
  const bytes = (message: Uint8Array): number[] => [...message];
  const reply = { type: XS.READ, requestId: 5, transactionId: 0, payload: toBytes("late") };
  const request = { type: XS.READ, requestId: 6, transactionId: 0, payload: toBytes(`${HOME}/data\0`) };
  const node = (name: string, value: string, permissions: string, children: readonly unknown[] = []) => [
    name,
    value,
    permissions,
    1,
    children,
  ];
  const data = node("data", "x\0\xff", "n1\0");
  const home = node("local", "", "n0\0", [node("domain", "", "n0\0", [node("1", "", "n0\0r1\0", [data])])]);
  const old = {
    store: { generation: 9, root: node("", "", "r0\0", [home]) },
    connection: {
      watches: [{ path: `${HOME}/data`, token: "w", isRelative: true }],
      transactions: [{ id: 3, start: [], snapshot: [], touched: [], mutations: [] }],
      nextTransaction: 4,
    },
    ring: {
      partial: bytes(encodeMessage(request).subarray(0, 18)),
      queued: bytes(encodeMessage(reply)).slice(4),
      isBroken: false,
    },
  };
  // The first four bytes had gone out before.
  memory.write(RING_PAGE, new Uint8Array(4096));
  memory.writeU32(RING_PAGE + 1024, XS.READ);
  guest.setIndex(INDEX.RSP_PROD, 4);
  const saved = JSON.parse(JSON.stringify(old)) as ConstructorParameters<typeof Xenstore>[3];
  host.store = new Xenstore(memory, RING_PAGE, 1, saved);
  guest.put(encodeMessage(request).subarray(18));
  expect(guest.takeAll().map(({ requestId, text }) => [requestId, text])).toEqual([
    [5, "late"],
    [6, "x\0\xff"],
  ]);
  // Until then it can be worked on, up to the root.
  expect(guest.read("/nothing", 3)).toBe("ENOENT");
  expect(guest.list("/", 3)).toEqual(["local"]);
  expect(guest.write("data/never", "1", 3)).toBe(OK);
  expect(guest.end(3)).toBe("EAGAIN");
  expect(guest.begin()).toBe(4);
  expect(guest.write("data/new", "1")).toBe(OK);
  expect(guest.takeEvents()).toEqual(["data/new w"]);
});
