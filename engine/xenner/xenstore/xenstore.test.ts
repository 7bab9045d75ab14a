/*
 * A guest talks to its xenstore through the ring page, byte by byte as Linux does, and must get what xenstored would
 * answer a domU: the tree xl made, its own part of it to change, transactions that conflict, watches that fire, errors
 * by name, and no more room than its quotas give it.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { XENSTORE_LIMITS } from "../../limits.ts";
import { SNAPSHOT_FORMAT_LIMITS } from "../../snapshot-format.ts";
import { GuestXenstore, HOME, UUID } from "../testing/guest-xenstore.ts";
import { INDEX, type XenstoreClient } from "../testing/xenstore-client.ts";
import { encodeMessage, toBytes, XS } from "./wire.ts";
import type { Xenstore } from "./xenstore.ts";

let store: Xenstore;
let guest: XenstoreClient;

beforeEach(() => {
  ({ store, guest } = new GuestXenstore());
});

const OK = "OK\0";

describe("what xl made", () => {
  test("is there to read, by absolute and by relative path", () => {
    expect(guest.read("domid")).toBe("1");
    expect(guest.read(`${HOME}/name`)).toBe("guest");
    expect(guest.read("memory/target")).toBe("131072");
    expect(guest.read("console/ring-ref")).toBe("6");
    expect(guest.read(`${guest.read("vm")}/uuid`)).toBe(UUID);
    expect(guest.list("cpu")).toEqual(["0"]);
    expect(guest.list(HOME)).toContain("control");
  });

  test("is not the guest's to change, except where it has to write", () => {
    expect(guest.write("name", "other")).toBe("EACCES");
    expect(guest.write("memory/target", "1")).toBe("EACCES");
    expect(guest.write("/local/domain/0/name", "mine")).toBe("EACCES");
    expect(guest.call(XS.RM, `${HOME}\0`)).toBe("EACCES");
    expect(guest.call(XS.MKDIR, "/tool\0")).toBe("EACCES");
    expect(guest.write("control/shutdown", "")).toBe(OK);
    expect(guest.write("data/report", "alive")).toBe(OK);
    expect(guest.read("data/report")).toBe("alive");
    expect(guest.read("name")).toBe("guest");
  });

  test("hides what is not the guest's", () => {
    expect(guest.list("/local/domain/0")).toContain("name");
    expect(guest.call(XS.DIRECTORY, "/local/domain\0")).toBe("EACCES");
    expect(guest.read("/local/domain/7/name")).toBe("EACCES");
    expect(guest.call(XS.GET_PERMS, `${HOME}/name\0`)).toBe("n0\0r1\0");
  });
});

describe("nodes", () => {
  test("hold any bytes, and come with what is missing above them", () => {
    expect(guest.write("data/a/b/c", "x\0\xffy")).toBe(OK);
    expect(guest.read("data/a/b/c")).toBe("x\0\xffy");
    expect(guest.read("data/a")).toBe("");
    expect(guest.list("data/a")).toEqual(["b"]);
    expect(guest.call(XS.GET_PERMS, "data/a/b\0")).toBe("n1\0");
  });

  test("that are missing are ENOENT, and may be removed if their parent is there", () => {
    expect(guest.read("data/missing")).toBe("ENOENT");
    expect(guest.call(XS.DIRECTORY, "data/missing\0")).toBe("ENOENT");
    expect(guest.call(XS.RM, "data/missing\0")).toBe(OK);
    expect(guest.call(XS.RM, "data/missing/deeper\0")).toBe("ENOENT");
  });

  test("are made, kept and removed with all below", () => {
    expect(guest.call(XS.MKDIR, "data/d\0")).toBe(OK);
    expect(guest.write("data/d/e", "1")).toBe(OK);
    expect(guest.call(XS.MKDIR, "data/d\0")).toBe(OK);
    expect(guest.list("data/d")).toEqual(["e"]);
    expect(guest.call(XS.RM, "data/d\0")).toBe(OK);
    expect(guest.read("data/d/e")).toBe("ENOENT");
  });

  test("have names of the allowed characters and lengths only", () => {
    for (const path of ["data/a b", "data//a", "data/a/", "", "data/\xe4", `data/${"x".repeat(2048)}`]) {
      expect(guest.write(path, "1"), path).toBe("EINVAL");
    }
    expect(guest.read(`/${"x".repeat(2048)}`)).toBe("EINVAL");
    expect(guest.read(`/${"x".repeat(2047)}`)).toBe("EACCES");
    // What is below a domain's home may be as long, however the home is spelt.
    expect(guest.read(`${HOME}/data/${"x".repeat(2043)}`)).toBe("ENOENT");
    expect(guest.read(`${HOME}/data/${"x".repeat(2044)}`)).toBe("EINVAL");
    expect(guest.write("data/A-z_0@9", "1")).toBe(OK);
  });

  test("are given away and shared by permissions", () => {
    guest.write("data/p", "1");
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
    expect(guest.call(XS.TRANSACTION_END, "X\0", guest.begin())).toBe("EINVAL");
    expect(guest.call(XS.TRANSACTION_END, "T\0")).toBe("ENOENT");
    expect(guest.read("data", 99)).toBe("ENOENT");
    const { CONTROL, INTRODUCE, RELEASE, IS_DOMAIN_INTRODUCED, RESUME, SET_TARGET } = XS;
    for (const type of [CONTROL, INTRODUCE, RELEASE, IS_DOMAIN_INTRODUCED, RESUME, SET_TARGET]) {
      expect(guest.call(type, "1\0")).toBe("EACCES");
    }
    for (const type of [XS.WATCH_EVENT, 20, 23, 0xffff]) expect(guest.call(type, "\0")).toBe("ENOSYS");
    expect(guest.call(XS.WATCH_EVENT, "\0", 99)).toBe("ENOSYS");
    expect(guest.call(XS.CONTROL, "\0", 99)).toBe("EACCES");
  });

  test("about special names", () => {
    expect(guest.read("@releaseDomain")).toBe("EINVAL");
    expect(guest.write("@mine", "1")).toBe("EINVAL");
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
    const tx = guest.begin();
    guest.write("data/t", "new", tx);
    expect(guest.read("data/t", tx)).toBe("new");
    expect(guest.read("data/t")).toBe("ENOENT");
    expect(guest.end(tx)).toBe(OK);
    expect(guest.read("data/t")).toBe("new");
    const other = guest.begin();
    guest.write("data/t", "newer", other);
    expect(guest.end(other, "F")).toBe(OK);
    expect(guest.read("data/t")).toBe("new");
  });

  test("see a node as it was when they first looked", () => {
    guest.write("data/s", "1");
    const tx = guest.begin();
    guest.write("data/s", "2");
    expect(guest.read("data/s", tx)).toBe("2");
    guest.write("data/s", "3");
    expect(guest.read("data/s", tx)).toBe("2");
    expect(guest.end(tx)).toBe("EAGAIN");
  });

  test("make, change and remove nodes as if they were alone", () => {
    guest.write("data/gone/deep/er", "1");
    const tx = guest.begin();
    expect(guest.call(XS.RM, "data/gone\0", tx)).toBe(OK);
    expect(guest.read("data/gone/deep", tx)).toBe("ENOENT");
    guest.write("data/gone/again", "2", tx);
    guest.write("data/made/for/nothing", "3", tx);
    expect(guest.call(XS.RM, "data/made\0", tx)).toBe(OK);
    expect(guest.list("data", tx)).toEqual(["gone"]);
    expect(guest.list("data/gone")).toEqual(["deep"]);
    expect(guest.end(tx)).toBe(OK);
    expect(guest.list("data")).toEqual(["gone"]);
    expect(guest.list("data/gone")).toEqual(["again"]);
    expect(guest.read("data/gone/deep/er")).toBe("ENOENT");
    expect(guest.read("data/gone/again")).toBe("2");
  });

  test("cannot be committed once they could not note what they depend on", () => {
    const tx = guest.begin();
    guest.write("data/t", "1", tx);
    for (let i = 0; i < XENSTORE_LIMITS.nodesPerTransaction; i++) guest.read(`data/${i}`, tx);
    expect(guest.read("data/one-more", tx)).toBe("ENOSPC");
    expect(guest.end(tx)).toBe("ENOMEM");
    expect(guest.read("data/t")).toBe("ENOENT");
  });

  test("conflict when what they read was changed, and not otherwise", () => {
    guest.write("data/read", "1");
    guest.write("data/unrelated", "1");
    const loser = guest.begin();
    const winner = guest.begin();
    guest.read("data/read", loser);
    guest.write("data/result", "from loser", loser);
    guest.write("data/unrelated", "2", winner);
    expect(guest.end(winner)).toBe(OK);
    guest.write("data/read", "2");
    expect(guest.end(loser)).toBe("EAGAIN");
    expect(guest.read("data/result")).toBe("ENOENT");
    expect(guest.end(loser)).toBe("ENOENT");
  });

  test("conflict when a node they found missing was made", () => {
    const tx = guest.begin();
    expect(guest.read("data/lock", tx)).toBe("ENOENT");
    guest.write("data/lock", "me", tx);
    guest.write("data/lock", "somebody else");
    expect(guest.end(tx)).toBe("EAGAIN");
    expect(guest.read("data/lock")).toBe("somebody else");
  });

  test("that are in conflict already answer by what they see", () => {
    guest.write("data/a/b", "1");
    const tx = guest.begin();
    guest.list("data/a", tx);
    guest.call(XS.RM, "data/a/b\0");
    expect(guest.list("data/a", tx)).toEqual(["b"]);
    expect(guest.read("data/a/b", tx)).toBe("ENOENT");
    expect(guest.call(XS.RM, "data/a\0", tx)).toBe(OK);
    guest.write("data/a/c", "2");
    // It sees the new node, but not the one above, which it has removed.
    expect(guest.call(XS.RM, "data/a/c\0", tx)).toBe("EINVAL");
    expect(guest.end(tx)).toBe("EAGAIN");
    expect(guest.list("data/a")).toEqual(["c"]);
  });

  test("cannot be nested, and are limited in number", () => {
    const tx = guest.begin();
    expect(guest.call(XS.TRANSACTION_START, "\0", tx)).toBe("EBUSY");
    for (let i = 1; i < XENSTORE_LIMITS.transactionsPerDomain; i++) guest.begin();
    expect(guest.call(XS.TRANSACTION_START, "\0")).toBe("ENOSPC");
    expect(guest.end(tx, "F")).toBe(OK);
    expect(guest.begin()).toBeGreaterThan(0);
  });
});

describe("watches", () => {
  test("fire once when set, then for the node and everything below it", () => {
    expect(guest.watch("data", "token")).toBe(OK);
    expect(guest.takeEvents()).toEqual(["data token"]);
    guest.write("data/x", "1");
    guest.write("data/x/y", "1");
    guest.call(XS.RM, "data/x\0");
    expect(guest.takeEvents()).toEqual(["data/x token", "data/x/y token", "data/x token"]);
    guest.write("error", "elsewhere");
    expect(guest.takeEvents()).toEqual([]);
  });

  test("give paths as they were asked for", () => {
    guest.watch(`${HOME}/data`, "absolute");
    guest.watch("data", "relative");
    guest.takeEvents();
    guest.write("data/x", "1");
    expect(guest.takeEvents()).toEqual([`${HOME}/data/x absolute`, "data/x relative"]);
  });

  test("fire for what the toolstack writes", () => {
    guest.watch("control/shutdown", "sd");
    guest.takeEvents();
    expect(store.write(`${HOME}/control/shutdown`, "poweroff")).toBe(true);
    expect(guest.takeEvents()).toEqual(["control/shutdown sd"]);
    expect(guest.read("control/shutdown")).toBe("poweroff");
  });

  test("fire when a node above theirs is removed", () => {
    guest.write("data/a/b", "1");
    guest.watch("data/a/b", "deep");
    guest.watch("data/a/never", "missing");
    guest.takeEvents();
    guest.call(XS.RM, "data/a\0");
    expect(guest.takeEvents()).toEqual(["data/a/b deep"]);
  });

  test("wait for the end of a transaction", () => {
    guest.watch("data", "t");
    guest.takeEvents();
    const tx = guest.begin();
    guest.write("data/one", "1", tx);
    expect(guest.takeEvents()).toEqual([]);
    guest.end(tx);
    expect(guest.takeEvents()).toEqual(["data/one t"]);
  });

  test("fire once for a node, however often a transaction wrote it", () => {
    guest.watch("data", "t");
    guest.takeEvents();
    const tx = guest.begin();
    for (let i = 0; i < 3; i++) guest.write("data/one", `${i}`, tx);
    guest.write("data/two", "", tx);
    guest.end(tx);
    expect(guest.takeEvents()).toEqual(["data/one t", "data/two t"]);
  });

  test("fire for a node that its reader may read no more", () => {
    guest.watch("memory/target", "t");
    guest.takeEvents();
    store.write(`${HOME}/memory`, "", [{ domid: 0, access: "n" }]);
    store.write(`${HOME}/memory/target`, "", [{ domid: 0, access: "n" }]);
    expect(guest.read("memory/target")).toBe("EACCES");
    expect(guest.takeEvents()).toEqual(["memory/target t"]);
    store.write(`${HOME}/memory/target`, "");
    expect(guest.takeEvents()).toEqual([]);
  });

  test("do not fire again while the same event still waits for room", () => {
    guest.watch("data", "t".repeat(1000));
    guest.takeEvents();
    guest.setIndex(INDEX.RSP_CONS, guest.index(INDEX.RSP_PROD) - 1024);
    for (let i = 0; i < 5; i++) store.write(`${HOME}/data/x`, `${i}`);
    guest.setIndex(INDEX.RSP_CONS, guest.index(INDEX.RSP_PROD));
    expect(guest.takeEvents()).toEqual([`data/x ${"t".repeat(1000)}`]);
  });

  test("tell nothing about nodes the guest may not read", () => {
    guest.watch("/vm", "spy");
    guest.watch("@releaseDomain", "special");
    expect(guest.takeEvents()).toEqual(["/vm spy", "@releaseDomain special"]);
    store.write("/vm/secret", "1", [{ domid: 0, access: "n" }]);
    expect(guest.takeEvents()).toEqual([]);
  });

  test("are told apart by path and token, and can be dropped", () => {
    expect(guest.watch("data", "1")).toBe(OK);
    expect(guest.watch("data", "1")).toBe("EEXIST");
    expect(guest.watch(`${HOME}/data`, "1")).toBe("EEXIST");
    expect(guest.watch("data", "2")).toBe(OK);
    expect(guest.call(XS.UNWATCH, "data\x001\0")).toBe(OK);
    expect(guest.call(XS.UNWATCH, "data\x001\0")).toBe("ENOENT");
    guest.takeEvents();
    guest.write("data/x", "");
    expect(guest.takeEvents()).toEqual(["data/x 2"]);
    expect(guest.call(XS.RESET_WATCHES, "\0")).toBe(OK);
    guest.write("data/x", "");
    expect(guest.takeEvents()).toEqual([]);
    expect(guest.watch("data", "")).toBe(OK);
    expect(guest.call(XS.WATCH, "data\0")).toBe("EINVAL");
  });
});

describe("quotas", () => {
  test("on nodes", () => {
    let made = 0;
    while (guest.write(`data/${made % 20}/${made}`, "") === OK) made++;
    expect(guest.write("data/more", "")).toBe("ENOSPC");
    expect(made).toBeGreaterThan(900);
    expect(made).toBeLessThan(XENSTORE_LIMITS.nodesPerDomain);
    expect(guest.call(XS.RM, "data/0\0")).toBe(OK);
    expect(guest.write("data/more", "")).toBe(OK);
  });

  test("on the size of a node, its value or its children's names", () => {
    // struct xs_tdb_record_hdr and one struct xs_permissions count as well.
    const most = XENSTORE_LIMITS.nodeBytes - 24 - 8 - 1;
    expect(guest.write("data/big", "x".repeat(most + 1))).toBe("ENOSPC");
    expect(guest.read("data/big")).toBe("ENOENT");
    expect(guest.write("data/big", "x".repeat(most))).toBe(OK);
    let last = OK;
    for (let i = 0; i < 30 && last === OK; i++) last = guest.write(`data/n/${i}${"x".repeat(100)}`, "");
    expect(last).toBe("ENOSPC");
  });

  test("on watches", () => {
    for (let i = 0; i < XENSTORE_LIMITS.watchesPerDomain; i++) expect(guest.watch("data", `${i}`)).toBe(OK);
    expect(guest.watch("data", "one more")).toBe("E2BIG");
  });

  test("on what a transaction touches", () => {
    const tx = guest.begin();
    let last = "ENOENT";
    for (let i = 0; i < 2000 && last === "ENOENT"; i++) last = guest.read(`data/${i}`, tx);
    expect(last).toBe("ENOSPC");
  });
});

describe("what a guest can make its host keep is bounded", () => {
  /** Far above what the quota is for: base64 adds a third, and each entry a few bytes. */
  const MOST = SNAPSHOT_FORMAT_LIMITS.recordBytes;
  const savedBytes = (): number => JSON.stringify(store.save()).length;

  test("however often a transaction writes the same node", () => {
    const tx = guest.begin();
    guest.write("data/x", "\0".repeat(1000), tx);
    const once = savedBytes();
    for (let i = 0; i < 300; i++) guest.write("data/x", "\0".repeat(1000), tx);
    expect(savedBytes()).toBeLessThan(once + 100);
  });

  test("with nodes as large as can be, and transactions that look at them", () => {
    let errno = OK;
    for (let i = 0; errno === OK; i++) errno = guest.write(`data/${i % 30}/${i}`, "\0".repeat(2000));
    expect(errno).toBe("ENOSPC");
    const open = Array.from({ length: XENSTORE_LIMITS.transactionsPerDomain }, () => guest.begin());
    const answers = open.map((tx) => {
      let last = "";
      for (let i = 0; i < 900; i++) last = guest.read(`data/${i % 30}/${i}`, tx);
      return last;
    });
    expect(answers).toContain("ENOMEM");
    expect(savedBytes()).toBeLessThan(MOST);
    for (const tx of open) guest.end(tx, "F");
    expect(guest.read("data/1/1")).toHaveLength(2000);
    expect(guest.write("data/1/1", "")).toBe(OK);
  });

  test("with more events than anybody takes", () => {
    for (let i = 0; i < XENSTORE_LIMITS.watchesPerDomain; i++) guest.watch("data", `${i}`.padEnd(400, "t"));
    guest.takeEvents();
    const tx = guest.begin();
    for (let i = 0; i < 100; i++) guest.write(`data/${i}`, "", tx);
    const commit = { type: XS.TRANSACTION_END, requestId: 1, transactionId: tx, payload: toBytes("T\0") };
    guest.put(encodeMessage(commit));
    expect(savedBytes()).toBeLessThan(MOST);
    // The guest takes what there is, and all is as before.
    expect(guest.takeAll().filter(({ type }) => type === XS.TRANSACTION_END)).toHaveLength(1);
    expect(guest.write("data/1", "2")).toBe(OK);
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
