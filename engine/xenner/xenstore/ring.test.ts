/*
 * The ring between a guest and its xenstore: messages in pieces, several at once, longer than the ring, across the wrap of its
 * indices. Then the guest stops playing by the rules, and only its own connection may suffer.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { Mutator } from "../../loader/testing/mutator.ts";
import { GuestXenstore, RING_PAGE } from "../testing/guest-xenstore.ts";
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

describe("the ring", () => {
  test("carries messages longer than itself, in pieces, both ways", () => {
    const value = "v".repeat(2000);
    expect(guest.write("data/long", value)).toBe(OK);
    expect(guest.read("data/long")).toBe(value);
  });

  test("takes requests that come byte by byte and several at once", () => {
    const request = (requestId: number) =>
      encodeMessage({ type: XS.READ, requestId, transactionId: 0, payload: toBytes("domid\0") });
    for (const byte of request(1)) guest.put(Uint8Array.of(byte));
    guest.put(Uint8Array.from([...request(2), ...request(3)]));
    expect(guest.take().map(({ requestId, text }) => [requestId, text])).toEqual([
      [1, "1"],
      [2, "1"],
      [3, "1"],
    ]);
  });

  test("keeps replies until there is room, and requests until there are replies", () => {
    guest.write("data/v", "x".repeat(900));
    const message = (requestId: number) =>
      encodeMessage({ type: XS.READ, requestId, transactionId: 0, payload: toBytes("data/v\0") });
    for (let i = 1; i <= 20; i++) guest.put(message(i));
    const ids: number[] = [];
    for (let round = 0; round < 40; round++) {
      ids.push(...guest.take().map(({ requestId }) => requestId));
      host.store.serve();
    }
    expect(ids).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test("works across the wrap of its 32-bit indices", () => {
    for (const offset of [INDEX.REQ_CONS, INDEX.REQ_PROD, INDEX.RSP_CONS, INDEX.RSP_PROD]) {
      guest.setIndex(offset, 0xfffffff0);
    }
    expect(guest.read("name")).toBe("guest");
    expect(guest.index(INDEX.REQ_PROD)).toBeLessThan(1024);
  });

  test.each([
    ["a request index", INDEX.REQ_PROD, 2],
    ["a response index", INDEX.RSP_PROD, 2],
  ])("is closed when %s is impossible", (_name, offset, error) => {
    guest.put(encodeMessage({ type: XS.READ, requestId: 1, transactionId: 0, payload: toBytes("domid\0") }));
    guest.setIndex(offset, guest.index(offset) + 5000);
    guest.setIndex(INDEX.REQ_PROD, guest.index(INDEX.REQ_PROD) + 22);
    host.store.serve();
    expect(guest.index(INDEX.ERROR)).toBe(error);
    expect(host.store.serve()).toBe(false);
  });

  test("is closed when a message is longer than allowed", () => {
    const header = encodeMessage({
      type: XS.WRITE,
      requestId: 1,
      transactionId: 0,
      payload: new Uint8Array(0),
    });
    new DataView(header.buffer).setUint32(12, 4097, true);
    guest.put(header);
    expect(guest.index(INDEX.ERROR)).toBe(3);
  });

  test("survives 3,000 rounds of nonsense without touching a byte outside its page", () => {
    const mutator = new Mutator(4711);
    for (let round = 0; round < 3000; round++) {
      if (round % 100 === 0) {
        memory.write(RING_PAGE, new Uint8Array(4096));
        host.store = new Xenstore(memory, RING_PAGE, 1);
      }
      for (let i = 0; i < 40; i++) memory.writeU8(RING_PAGE + mutator.below(2048), mutator.below(256));
      memory.writeU32(RING_PAGE + mutator.below(1000), mutator.below(23));
      const step = mutator.below(8) === 0 ? 2000 : 1024;
      memory.writeU32(
        RING_PAGE + INDEX.REQ_PROD,
        memory.readU32(RING_PAGE + INDEX.REQ_CONS) + mutator.below(step),
      );
      if (mutator.below(2) === 0)
        memory.writeU32(RING_PAGE + INDEX.RSP_CONS, memory.readU32(RING_PAGE + INDEX.RSP_PROD));
      host.store.serve();
    }
    for (const outside of [RING_PAGE - 4096, RING_PAGE + 4096]) {
      expect(memory.read(outside, 4096).every((byte) => byte === 0xaa)).toBe(true);
    }
  });
});
