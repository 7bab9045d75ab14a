/*
 * A guest talks to its xenstore through the ring page, byte by byte as Linux does, and must get what xenstored would
 * answer a domU: the tree xl made, its own part of it to change, transactions that conflict, watches that fire, errors
 * by name. Then it stops playing by the rules, and only its own connection may suffer.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { XENSTORE_LIMITS } from "../../limits.ts";
import { Mutator } from "../../loader/testing/mutator.ts";
import { SNAPSHOT_FORMAT_LIMITS } from "../../snapshot-format.ts";
import { ArrayMemory } from "../testing/memory.ts";
import { INDEX, XenstoreClient } from "../testing/xenstore-client.ts";
import { encodeMessage, toBytes, XS } from "./wire.ts";
import { Xenstore } from "./xenstore.ts";

const PAGE = 0x3000;
const HOME = "/local/domain/1";
const UUID = "12345678-1234-4234-8234-123456789abc";

let memory: ArrayMemory;
let store: Xenstore;
let guest: XenstoreClient;

beforeEach(() => {
  memory = new ArrayMemory(5);
  memory.write(PAGE - 4096, new Uint8Array(4096).fill(0xaa));
  memory.write(PAGE + 4096, new Uint8Array(4096).fill(0xaa));
  store = new Xenstore(memory, PAGE, 1);
  store.initialise();
  store.populate({
    name: "guest",
    uuid: UUID,
    memoryKiB: 131072,
    consoleMfn: 6,
    consolePort: 2,
    storeMfn: 5,
    storePort: 1,
  });
  guest = new XenstoreClient(memory, PAGE, () => store.serve());
});

const read = (path: string, tx = 0): string => guest.call(XS.READ, `${path}\0`, tx);
const write = (path: string, value: string, tx = 0): string => guest.call(XS.WRITE, `${path}\0${value}`, tx);
const list = (path: string, tx = 0): string[] =>
  guest.call(XS.DIRECTORY, `${path}\0`, tx).split("\0").slice(0, -1);
const begin = (): number => Number(guest.call(XS.TRANSACTION_START, "\0").replace("\0", ""));
const end = (tx: number, answer = "T"): string => guest.call(XS.TRANSACTION_END, `${answer}\0`, tx);
const watch = (path: string, token: string): string => guest.call(XS.WATCH, `${path}\0${token}\0`);
const OK = "OK\0";

describe("what xl made", () => {
  test("is there to read, by absolute and by relative path", () => {
    expect(read("domid")).toBe("1");
    expect(read(`${HOME}/name`)).toBe("guest");
    expect(read("memory/target")).toBe("131072");
    expect(read("console/ring-ref")).toBe("6");
    expect(read(`${read("vm")}/uuid`)).toBe(UUID);
    expect(list("cpu")).toEqual(["0"]);
    expect(list(HOME)).toContain("control");
  });

  test("is not the guest's to change, except where it has to write", () => {
    expect(write("name", "other")).toBe("EACCES");
    expect(write("memory/target", "1")).toBe("EACCES");
    expect(write("/local/domain/0/name", "mine")).toBe("EACCES");
    expect(guest.call(XS.RM, `${HOME}\0`)).toBe("EACCES");
    expect(guest.call(XS.MKDIR, "/tool\0")).toBe("EACCES");
    expect(write("control/shutdown", "")).toBe(OK);
    expect(write("data/report", "alive")).toBe(OK);
    expect(read("data/report")).toBe("alive");
    expect(read("name")).toBe("guest");
  });

  test("hides what is not the guest's", () => {
    expect(list("/local/domain/0")).toContain("name");
    expect(guest.call(XS.DIRECTORY, "/local/domain\0")).toBe("EACCES");
    expect(read("/local/domain/7/name")).toBe("EACCES");
    expect(guest.call(XS.GET_PERMS, `${HOME}/name\0`)).toBe("n0\0r1\0");
  });
});

describe("nodes", () => {
  test("hold any bytes, and come with what is missing above them", () => {
    expect(write("data/a/b/c", "x\0\xffy")).toBe(OK);
    expect(read("data/a/b/c")).toBe("x\0\xffy");
    expect(read("data/a")).toBe("");
    expect(list("data/a")).toEqual(["b"]);
    expect(guest.call(XS.GET_PERMS, "data/a/b\0")).toBe("n1\0");
  });

  test("that are missing are ENOENT, and may be removed if their parent is there", () => {
    expect(read("data/missing")).toBe("ENOENT");
    expect(guest.call(XS.DIRECTORY, "data/missing\0")).toBe("ENOENT");
    expect(guest.call(XS.RM, "data/missing\0")).toBe(OK);
    expect(guest.call(XS.RM, "data/missing/deeper\0")).toBe("ENOENT");
  });

  test("are made, kept and removed with all below", () => {
    expect(guest.call(XS.MKDIR, "data/d\0")).toBe(OK);
    expect(write("data/d/e", "1")).toBe(OK);
    expect(guest.call(XS.MKDIR, "data/d\0")).toBe(OK);
    expect(list("data/d")).toEqual(["e"]);
    expect(guest.call(XS.RM, "data/d\0")).toBe(OK);
    expect(read("data/d/e")).toBe("ENOENT");
  });

  test("have names of the allowed characters and lengths only", () => {
    for (const path of ["data/a b", "data//a", "data/a/", "", "data/\xe4", `data/${"x".repeat(2048)}`]) {
      expect(write(path, "1"), path).toBe("EINVAL");
    }
    expect(read(`/${"x".repeat(2048)}`)).toBe("EINVAL");
    expect(read(`/${"x".repeat(2047)}`)).toBe("EACCES");
    // What is below a domain's home may be as long, however the home is spelt.
    expect(read(`${HOME}/data/${"x".repeat(2043)}`)).toBe("ENOENT");
    expect(read(`${HOME}/data/${"x".repeat(2044)}`)).toBe("EINVAL");
    expect(write("data/A-z_0@9", "1")).toBe(OK);
  });

  test("are given away and shared by permissions", () => {
    write("data/p", "1");
    expect(guest.call(XS.SET_PERMS, "data/p\0r1\0w2\0")).toBe(OK);
    expect(guest.call(XS.GET_PERMS, "data/p\0")).toBe("r1\0w2\0");
    expect(guest.call(XS.SET_PERMS, "data/p\0n2\0")).toBe("EPERM");
    expect(guest.call(XS.SET_PERMS, "data/p\0x1\0")).toBe("EINVAL");
    expect(guest.call(XS.SET_PERMS, "data/p\0")).toBe("EINVAL");
    expect(guest.call(XS.SET_PERMS, "name\0n1\0")).toBe("EACCES");
    expect(guest.call(XS.SET_PERMS, "@releaseDomain\0n1\0")).toBe("EACCES");
  });
});

describe("malformed and privileged requests", () => {
  test("get the right error", () => {
    expect(guest.call(XS.READ, "data")).toBe("EINVAL");
    expect(guest.call(XS.READ, "")).toBe("EINVAL");
    expect(guest.call(XS.WRITE, "data")).toBe("EINVAL");
    expect(guest.call(XS.TRANSACTION_END, "X\0", begin())).toBe("EINVAL");
    expect(guest.call(XS.TRANSACTION_END, "T\0")).toBe("ENOENT");
    expect(read("data", 99)).toBe("ENOENT");
    const { CONTROL, INTRODUCE, RELEASE, IS_DOMAIN_INTRODUCED, RESUME, SET_TARGET } = XS;
    for (const type of [CONTROL, INTRODUCE, RELEASE, IS_DOMAIN_INTRODUCED, RESUME, SET_TARGET]) {
      expect(guest.call(type, "1\0")).toBe("EACCES");
    }
    for (const type of [XS.WATCH_EVENT, 20, 23, 0xffff]) expect(guest.call(type, "\0")).toBe("ENOSYS");
    expect(guest.call(XS.WATCH_EVENT, "\0", 99)).toBe("ENOSYS");
    expect(guest.call(XS.CONTROL, "\0", 99)).toBe("EACCES");
  });

  test("about special names", () => {
    expect(read("@releaseDomain")).toBe("EINVAL");
    expect(write("@mine", "1")).toBe("EINVAL");
    expect(guest.call(XS.SET_PERMS, "@releaseDomain\0x1\0")).toBe("EINVAL");
  });

  test("with a transaction where it means nothing", () => {
    expect(guest.call(XS.WATCH, "data\0t\0", 99)).toBe(OK);
    expect(guest.call(XS.UNWATCH, "data\0t\0", 99)).toBe(OK);
    expect(guest.call(XS.TRANSACTION_START, "what follows is nobody's business")).toBe("1\0");
  });

  test("about domains", () => {
    expect(guest.call(XS.GET_DOMAIN_PATH, "1\0")).toBe(`${HOME}\0`);
    expect(guest.call(XS.GET_DOMAIN_PATH, "x\0")).toBe("EINVAL");
  });
});

describe("transactions", () => {
  test("are seen by nobody until they end, and by nobody if given up", () => {
    const tx = begin();
    write("data/t", "new", tx);
    expect(read("data/t", tx)).toBe("new");
    expect(read("data/t")).toBe("ENOENT");
    expect(end(tx)).toBe(OK);
    expect(read("data/t")).toBe("new");
    const other = begin();
    write("data/t", "newer", other);
    expect(end(other, "F")).toBe(OK);
    expect(read("data/t")).toBe("new");
  });

  test("see a node as it was when they first looked", () => {
    write("data/s", "1");
    const tx = begin();
    write("data/s", "2");
    expect(read("data/s", tx)).toBe("2");
    write("data/s", "3");
    expect(read("data/s", tx)).toBe("2");
    expect(end(tx)).toBe("EAGAIN");
  });

  test("make, change and remove nodes as if they were alone", () => {
    write("data/gone/deep/er", "1");
    const tx = begin();
    expect(guest.call(XS.RM, "data/gone\0", tx)).toBe(OK);
    expect(read("data/gone/deep", tx)).toBe("ENOENT");
    write("data/gone/again", "2", tx);
    write("data/made/for/nothing", "3", tx);
    expect(guest.call(XS.RM, "data/made\0", tx)).toBe(OK);
    expect(list("data", tx)).toEqual(["gone"]);
    expect(list("data/gone")).toEqual(["deep"]);
    expect(end(tx)).toBe(OK);
    expect(list("data")).toEqual(["gone"]);
    expect(list("data/gone")).toEqual(["again"]);
    expect(read("data/gone/deep/er")).toBe("ENOENT");
    expect(read("data/gone/again")).toBe("2");
  });

  test("cannot be committed once they could not note what they depend on", () => {
    const tx = begin();
    write("data/t", "1", tx);
    for (let i = 0; i < XENSTORE_LIMITS.nodesPerTransaction; i++) read(`data/${i}`, tx);
    expect(read("data/one-more", tx)).toBe("ENOSPC");
    expect(end(tx)).toBe("ENOMEM");
    expect(read("data/t")).toBe("ENOENT");
  });

  test("conflict when what they read was changed, and not otherwise", () => {
    write("data/read", "1");
    write("data/unrelated", "1");
    const loser = begin();
    const winner = begin();
    read("data/read", loser);
    write("data/result", "from loser", loser);
    write("data/unrelated", "2", winner);
    expect(end(winner)).toBe(OK);
    write("data/read", "2");
    expect(end(loser)).toBe("EAGAIN");
    expect(read("data/result")).toBe("ENOENT");
    expect(end(loser)).toBe("ENOENT");
  });

  test("conflict when a node they found missing was made", () => {
    const tx = begin();
    expect(read("data/lock", tx)).toBe("ENOENT");
    write("data/lock", "me", tx);
    write("data/lock", "somebody else");
    expect(end(tx)).toBe("EAGAIN");
    expect(read("data/lock")).toBe("somebody else");
  });

  test("that are in conflict already answer by what they see", () => {
    write("data/a/b", "1");
    const tx = begin();
    list("data/a", tx);
    guest.call(XS.RM, "data/a/b\0");
    expect(list("data/a", tx)).toEqual(["b"]);
    expect(read("data/a/b", tx)).toBe("ENOENT");
    expect(guest.call(XS.RM, "data/a\0", tx)).toBe(OK);
    write("data/a/c", "2");
    // It sees the new node, but not the one above, which it has removed.
    expect(guest.call(XS.RM, "data/a/c\0", tx)).toBe("EINVAL");
    expect(end(tx)).toBe("EAGAIN");
    expect(list("data/a")).toEqual(["c"]);
  });

  test("cannot be nested, and are limited in number", () => {
    const tx = begin();
    expect(guest.call(XS.TRANSACTION_START, "\0", tx)).toBe("EBUSY");
    for (let i = 1; i < XENSTORE_LIMITS.transactionsPerDomain; i++) begin();
    expect(guest.call(XS.TRANSACTION_START, "\0")).toBe("ENOSPC");
    expect(end(tx, "F")).toBe(OK);
    expect(begin()).toBeGreaterThan(0);
  });
});

describe("watches", () => {
  test("fire once when set, then for the node and everything below it", () => {
    expect(watch("data", "token")).toBe(OK);
    expect(guest.takeEvents()).toEqual(["data token"]);
    write("data/x", "1");
    write("data/x/y", "1");
    guest.call(XS.RM, "data/x\0");
    expect(guest.takeEvents()).toEqual(["data/x token", "data/x/y token", "data/x token"]);
    write("error", "elsewhere");
    expect(guest.takeEvents()).toEqual([]);
  });

  test("give paths as they were asked for", () => {
    watch(`${HOME}/data`, "absolute");
    watch("data", "relative");
    guest.takeEvents();
    write("data/x", "1");
    expect(guest.takeEvents()).toEqual([`${HOME}/data/x absolute`, "data/x relative"]);
  });

  test("fire for what the toolstack writes", () => {
    watch("control/shutdown", "sd");
    guest.takeEvents();
    expect(store.write(`${HOME}/control/shutdown`, "poweroff")).toBe(true);
    expect(guest.takeEvents()).toEqual(["control/shutdown sd"]);
    expect(read("control/shutdown")).toBe("poweroff");
  });

  test("fire when a node above theirs is removed", () => {
    write("data/a/b", "1");
    watch("data/a/b", "deep");
    watch("data/a/never", "missing");
    guest.takeEvents();
    guest.call(XS.RM, "data/a\0");
    expect(guest.takeEvents()).toEqual(["data/a/b deep"]);
  });

  test("wait for the end of a transaction", () => {
    watch("data", "t");
    guest.takeEvents();
    const tx = begin();
    write("data/one", "1", tx);
    expect(guest.takeEvents()).toEqual([]);
    end(tx);
    expect(guest.takeEvents()).toEqual(["data/one t"]);
  });

  test("fire once for a node, however often a transaction wrote it", () => {
    watch("data", "t");
    guest.takeEvents();
    const tx = begin();
    for (let i = 0; i < 3; i++) write("data/one", `${i}`, tx);
    write("data/two", "", tx);
    end(tx);
    expect(guest.takeEvents()).toEqual(["data/one t", "data/two t"]);
  });

  test("fire for a node that its reader may read no more", () => {
    watch("memory/target", "t");
    guest.takeEvents();
    store.write(`${HOME}/memory`, "", [{ domid: 0, access: "n" }]);
    store.write(`${HOME}/memory/target`, "", [{ domid: 0, access: "n" }]);
    expect(read("memory/target")).toBe("EACCES");
    expect(guest.takeEvents()).toEqual(["memory/target t"]);
    store.write(`${HOME}/memory/target`, "");
    expect(guest.takeEvents()).toEqual([]);
  });

  test("do not fire again while the same event still waits for room", () => {
    watch("data", "t".repeat(1000));
    guest.takeEvents();
    guest.setIndex(INDEX.RSP_CONS, guest.index(INDEX.RSP_PROD) - 1024);
    for (let i = 0; i < 5; i++) store.write(`${HOME}/data/x`, `${i}`);
    guest.setIndex(INDEX.RSP_CONS, guest.index(INDEX.RSP_PROD));
    expect(guest.takeEvents()).toEqual([`data/x ${"t".repeat(1000)}`]);
  });

  test("tell nothing about nodes the guest may not read", () => {
    watch("/vm", "spy");
    watch("@releaseDomain", "special");
    expect(guest.takeEvents()).toEqual(["/vm spy", "@releaseDomain special"]);
    store.write("/vm/secret", "1", [{ domid: 0, access: "n" }]);
    expect(guest.takeEvents()).toEqual([]);
  });

  test("are told apart by path and token, and can be dropped", () => {
    expect(watch("data", "1")).toBe(OK);
    expect(watch("data", "1")).toBe("EEXIST");
    expect(watch(`${HOME}/data`, "1")).toBe("EEXIST");
    expect(watch("data", "2")).toBe(OK);
    expect(guest.call(XS.UNWATCH, "data\x001\0")).toBe(OK);
    expect(guest.call(XS.UNWATCH, "data\x001\0")).toBe("ENOENT");
    guest.takeEvents();
    write("data/x", "");
    expect(guest.takeEvents()).toEqual(["data/x 2"]);
    expect(guest.call(XS.RESET_WATCHES, "\0")).toBe(OK);
    write("data/x", "");
    expect(guest.takeEvents()).toEqual([]);
    expect(watch("data", "")).toBe(OK);
    expect(guest.call(XS.WATCH, "data\0")).toBe("EINVAL");
  });
});

describe("quotas", () => {
  test("on nodes", () => {
    let made = 0;
    while (write(`data/${made % 20}/${made}`, "") === OK) made++;
    expect(write("data/more", "")).toBe("ENOSPC");
    expect(made).toBeGreaterThan(900);
    expect(made).toBeLessThan(XENSTORE_LIMITS.nodesPerDomain);
    expect(guest.call(XS.RM, "data/0\0")).toBe(OK);
    expect(write("data/more", "")).toBe(OK);
  });

  test("on the size of a node, its value or its children's names", () => {
    // struct xs_tdb_record_hdr and one struct xs_permissions count as well.
    const most = XENSTORE_LIMITS.nodeBytes - 24 - 8 - 1;
    expect(write("data/big", "x".repeat(most + 1))).toBe("ENOSPC");
    expect(read("data/big")).toBe("ENOENT");
    expect(write("data/big", "x".repeat(most))).toBe(OK);
    let last = OK;
    for (let i = 0; i < 30 && last === OK; i++) last = write(`data/n/${i}${"x".repeat(100)}`, "");
    expect(last).toBe("ENOSPC");
  });

  test("on watches", () => {
    for (let i = 0; i < XENSTORE_LIMITS.watchesPerDomain; i++) expect(watch("data", `${i}`)).toBe(OK);
    expect(watch("data", "one more")).toBe("E2BIG");
  });

  test("on what a transaction touches", () => {
    const tx = begin();
    let last = "ENOENT";
    for (let i = 0; i < 2000 && last === "ENOENT"; i++) last = read(`data/${i}`, tx);
    expect(last).toBe("ENOSPC");
  });
});

describe("what a guest can make its host keep is bounded", () => {
  /** Far above what the quota is for: base64 adds a third, and each entry a few bytes. */
  const MOST = SNAPSHOT_FORMAT_LIMITS.recordBytes;
  const savedBytes = (): number => JSON.stringify(store.save()).length;

  test("however often a transaction writes the same node", () => {
    const tx = begin();
    write("data/x", "\0".repeat(1000), tx);
    const once = savedBytes();
    for (let i = 0; i < 300; i++) write("data/x", "\0".repeat(1000), tx);
    expect(savedBytes()).toBeLessThan(once + 100);
  });

  test("with nodes as large as can be, and transactions that look at them", () => {
    let errno = OK;
    for (let i = 0; errno === OK; i++) errno = write(`data/${i % 30}/${i}`, "\0".repeat(2000));
    expect(errno).toBe("ENOSPC");
    const open = Array.from({ length: XENSTORE_LIMITS.transactionsPerDomain }, begin);
    const answers = open.map((tx) => {
      let last = "";
      for (let i = 0; i < 900; i++) last = read(`data/${i % 30}/${i}`, tx);
      return last;
    });
    expect(answers).toContain("ENOMEM");
    expect(savedBytes()).toBeLessThan(MOST);
    for (const tx of open) end(tx, "F");
    expect(read("data/1/1")).toHaveLength(2000);
    expect(write("data/1/1", "")).toBe(OK);
  });

  test("with more events than anybody takes", () => {
    for (let i = 0; i < XENSTORE_LIMITS.watchesPerDomain; i++) watch("data", `${i}`.padEnd(400, "t"));
    guest.takeEvents();
    const tx = begin();
    for (let i = 0; i < 100; i++) write(`data/${i}`, "", tx);
    const commit = { type: XS.TRANSACTION_END, requestId: 1, transactionId: tx, payload: toBytes("T\0") };
    guest.put(encodeMessage(commit));
    expect(savedBytes()).toBeLessThan(MOST);
    // The guest takes what there is, and all is as before.
    expect(guest.takeAll().filter(({ type }) => type === XS.TRANSACTION_END)).toHaveLength(1);
    expect(write("data/1", "2")).toBe(OK);
  });
});

test("a long directory comes in parts that add up", () => {
  for (let i = 0; i < 90; i++) store.write(`${HOME}/data/${`${i}`.padStart(60, "n")}`, "");
  expect(guest.call(XS.DIRECTORY, "data\0")).toBe("E2BIG");
  let names = "";
  let generation: string | undefined;
  for (;;) {
    const [first, ...rest] = guest.call(XS.DIRECTORY_PART, `data\0${names.length}\0`).split("\0");
    generation ??= first;
    expect(first).toBe(generation);
    const text = rest
      .slice(0, -1)
      .map((name) => `${name}\0`)
      .join("");
    if (text.endsWith("\0\0") || text === "\0") {
      names += text.slice(0, -1);
      break;
    }
    names += text;
  }
  expect(names.split("\0").slice(0, -1)).toHaveLength(90);
  expect(guest.call(XS.DIRECTORY_PART, "data\x0099999\0")).toBe(`${generation}\0\0`);
});

describe("the ring", () => {
  test("carries messages longer than itself, in pieces, both ways", () => {
    const value = "v".repeat(2000);
    expect(write("data/long", value)).toBe(OK);
    expect(read("data/long")).toBe(value);
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
    write("data/v", "x".repeat(900));
    const message = (requestId: number) =>
      encodeMessage({ type: XS.READ, requestId, transactionId: 0, payload: toBytes("data/v\0") });
    for (let i = 1; i <= 20; i++) guest.put(message(i));
    const ids: number[] = [];
    for (let round = 0; round < 40; round++) {
      ids.push(...guest.take().map(({ requestId }) => requestId));
      store.serve();
    }
    expect(ids).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test("works across the wrap of its 32-bit indices", () => {
    for (const offset of [INDEX.REQ_CONS, INDEX.REQ_PROD, INDEX.RSP_CONS, INDEX.RSP_PROD]) {
      guest.setIndex(offset, 0xfffffff0);
    }
    expect(read("name")).toBe("guest");
    expect(guest.index(INDEX.REQ_PROD)).toBeLessThan(1024);
  });

  test.each([
    ["a request index", INDEX.REQ_PROD, 2],
    ["a response index", INDEX.RSP_PROD, 2],
  ])("is closed when %s is impossible", (_name, offset, error) => {
    guest.put(encodeMessage({ type: XS.READ, requestId: 1, transactionId: 0, payload: toBytes("domid\0") }));
    guest.setIndex(offset, guest.index(offset) + 5000);
    guest.setIndex(INDEX.REQ_PROD, guest.index(INDEX.REQ_PROD) + 22);
    store.serve();
    expect(guest.index(INDEX.ERROR)).toBe(error);
    expect(store.serve()).toBe(false);
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
        memory.write(PAGE, new Uint8Array(4096));
        store = new Xenstore(memory, PAGE, 1);
      }
      for (let i = 0; i < 40; i++) memory.writeU8(PAGE + mutator.below(2048), mutator.below(256));
      memory.writeU32(PAGE + mutator.below(1000), mutator.below(23));
      const step = mutator.below(8) === 0 ? 2000 : 1024;
      memory.writeU32(PAGE + INDEX.REQ_PROD, memory.readU32(PAGE + INDEX.REQ_CONS) + mutator.below(step));
      if (mutator.below(2) === 0)
        memory.writeU32(PAGE + INDEX.RSP_CONS, memory.readU32(PAGE + INDEX.RSP_PROD));
      store.serve();
    }
    for (const outside of [PAGE - 4096, PAGE + 4096]) {
      expect(memory.read(outside, 4096).every((byte) => byte === 0xaa)).toBe(true);
    }
  });
});

test("a saved store goes on where it was: nodes, watches, transactions, half a request", () => {
  write("data/kept", "1");
  watch("data", "w");
  guest.takeEvents();
  const tx = begin();
  write("data/in-tx", "2", tx);
  const request = encodeMessage({
    type: XS.READ,
    requestId: 77,
    transactionId: 0,
    payload: toBytes("data/kept\0"),
  });
  guest.put(request.subarray(0, 20));

  const saved = JSON.parse(JSON.stringify(store.save()));
  store = new Xenstore(memory, PAGE, 1, saved);
  expect(JSON.parse(JSON.stringify(store.save()))).toEqual(saved);
  guest.put(request.subarray(20));
  expect(guest.take()).toMatchObject([{ requestId: 77, text: "1" }]);
  expect(read("data/in-tx", tx)).toBe("2");
  expect(read("data/in-tx")).toBe("ENOENT");
  expect(end(tx)).toBe(OK);
  expect(guest.takeEvents()).toEqual(["data/in-tx w"]);
  expect(begin()).toBe(tx + 1);
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
  memory.write(PAGE, new Uint8Array(4096));
  memory.writeU32(PAGE + 1024, XS.READ);
  guest.setIndex(INDEX.RSP_PROD, 4);
  const saved = JSON.parse(JSON.stringify(old)) as ConstructorParameters<typeof Xenstore>[3];
  store = new Xenstore(memory, PAGE, 1, saved);
  guest.put(encodeMessage(request).subarray(18));
  expect(guest.takeAll().map(({ requestId, text }) => [requestId, text])).toEqual([
    [5, "late"],
    [6, "x\0\xff"],
  ]);
  // Until then it can be worked on, up to the root.
  expect(read("/nothing", 3)).toBe("ENOENT");
  expect(list("/", 3)).toEqual(["local"]);
  expect(write("data/never", "1", 3)).toBe(OK);
  expect(end(3)).toBe("EAGAIN");
  expect(begin()).toBe(4);
  expect(write("data/new", "1")).toBe(OK);
  expect(guest.takeEvents()).toEqual(["data/new w"]);
});
