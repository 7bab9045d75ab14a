/*
 * The hypercalls of a PVH guest, called as a kernel does, with good arguments and with bad ones: pointers to nowhere,
 * domains that are not there, numbers out of range, the wrong privilege. What fails changes nothing. The numbers are those of
 * xen/include/public; the guest's memory is flat, without paging, so a bad pointer is one beyond its end.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { CONSOLE_PORT, XENSTORE_PORT } from "../abi.ts";
import { ArrayMemory } from "../testing/memory.ts";
import { HvmHost } from "./host.ts";
import { hvmHypercallPage } from "./hypercall-page.ts";
import { pvhRegion } from "./layout.ts";

const RAM_PAGES = 2048;
const REGION = pvhRegion(RAM_PAGES);
/** Where the tests put arguments, and an address outside of memory. */
const AT = 0x5000;
const NOWHERE = 0xfff_fff_f000n;
const SELF = 0x7ff0;
const EPERM = -1n;
const ENOENT = -2n;
const ESRCH = -3n;
const EFAULT = -14n;
const EEXIST = -17n;
const EINVAL = -22n;
const ENOSPC = -28n;
const ENOSYS = -38n;

/** The processor as far as hypercalls by VMCALL need it: 64-bit kernel code, without paging. */
function processorOf(memory: ArrayMemory, raiseNmi: () => void) {
  return {
    memory,
    raiseNmi,
    getControl: () => 0n,
    getRegister: (name: string) => registers.get(name) ?? 0n,
    setRegister: (name: string, value: bigint) => void registers.set(name, value),
    interceptExceptions: () => {},
    flushTranslations: () => {},
    privilege: 0,
    isIn64BitCode: true,
    codeBase: 0n,
    stackBase: 0n,
  };
}

const registers = new Map<string, bigint>();
let memory: ArrayMemory;
let host: HvmHost;
let nmis: number;

beforeEach(() => {
  registers.clear();
  memory = new ArrayMemory(REGION.machinePages);
  nmis = 0;
  host = new HvmHost(
    processorOf(memory, () => nmis++),
    RAM_PAGES,
    { startTime: 1_750_000_000, uuid: new Uint8Array(16).fill(7) },
  );
});

const lengths = (list: readonly Uint8Array[]): number[] => list.map(({ length }) => length);
/** RIP behind the instruction that makes hypercalls. */
const BEHIND = 0x1003n;

/** A hypercall of 64-bit kernel code, made again as long as it asks for that. What is printed by each. */
function callUntilItEnds(number: number, args: readonly bigint[]): Uint8Array[] {
  const names = ["rdi", "rsi", "rdx"];
  for (const [i, value] of args.entries()) registers.set(names[i]!, value);
  const printed: Uint8Array[] = [];
  do {
    registers.set("rip", BEHIND);
    const again = call(
      number,
      names.map((name) => registers.get(name) ?? 0n),
    );
    const isOver = registers.get("rip") === BEHIND;
    expect([again, registers.get("rip")]).toEqual(isOver ? [0n, BEHIND] : [BigInt(number), BEHIND - 3n]);
    printed.push(host.console.takeOutput());
  } while (registers.get("rip") !== BEHIND);
  return printed;
}

/** A hypercall of 64-bit kernel code. */
function call(number: number, args: readonly (number | bigint)[], now = 0): bigint {
  return host.hypercall(number, args.map(BigInt), true, true, "vmcall", now);
}

/** Puts 32-bit words at AT and hands it over as the argument. */
function put(...words: number[]): number {
  for (const [i, word] of words.entries()) memory.writeU32(AT + i * 4, word >>> 0);
  return AT;
}

const word = (index: number): number => memory.readU32(AT + index * 4);
const version = (command: number, argument: number | bigint = 0): bigint => call(17, [command, argument]);
const evtchn = (op: number, ...words: number[]): bigint => call(32, [op, put(...words)]);
const vcpu = (op: number, id: number, argument: number | bigint, now = 0): bigint =>
  call(24, [op, id, argument], now);

/** Maps shared_info at a page, as Linux does. */
function mapSharedInfo(gfn: number): bigint {
  put(SELF, 0, 0, 0, gfn, 0);
  return call(12, [7, AT]);
}

describe("any hypercall", () => {
  test.each([12, 17, 24, 29, 32, 34, 20])("%d is refused to user mode", (number) => {
    expect(host.hypercall(number, [0n, BigInt(AT)], true, false, "vmcall", 0)).toBe(EPERM);
    expect(host.end).toBeUndefined();
  });

  test.each([0, 1, 2, 3, 14, 23, 26, 35, 36, 55, 4095])("number %d is not a PVH guest's", (number) => {
    expect(call(number, [0, AT])).toBe(ENOSYS);
  });

  test.each([
    [12, 4],
    [12, 7],
    [12, 9],
    [12, 15],
    [17, 1],
    [17, 6],
    [17, 8],
    [24, 5],
    [24, 8],
    [24, 10],
    [29, 2],
    [29, 3],
    [32, 1],
    [32, 4],
    [32, 6],
    [34, 0],
    [34, 1],
    [34, 23],
  ])("%d, operation %d: a bad pointer is -EFAULT", (number, op) => {
    const before = host.save();
    expect(call(number, number === 24 ? [op, 0, NOWHERE] : [op, NOWHERE])).toBe(EFAULT);
    const { statistics: _, ...after } = host.save();
    const { statistics: __, ...unchanged } = before;
    expect(after).toEqual(unchanged);
  });

  test("is counted by its way out and by whether it failed", () => {
    version(0);
    version(6, NOWHERE);
    host.hypercall(17, [0n], true, true, "port", 0);
    expect(host.statistics().hypercalls).toEqual([
      {
        hypercall: "xen_version",
        subop: "XENVER_version",
        calls: 2,
        inEmu: 0,
        byPort: 1,
        byVmcall: 1,
        errors: 0,
        instructions: 0,
      },
      {
        hypercall: "xen_version",
        subop: "XENVER_get_features",
        calls: 1,
        inEmu: 0,
        byPort: 0,
        byVmcall: 1,
        errors: 1,
        instructions: 0,
      },
    ]);
  });
});

test("xen_version", () => {
  expect(version(0)).toBe(0x40011n);
  expect(version(6, put(0, 0))).toBe(0n);
  // auto_translated_physmap, hvm_callback_vector, hvm_safe_pvclock; no pirqs.
  expect(word(1) & 0x704).toBe(0x304);
  expect(version(6, put(1, 0))).toBe(EINVAL);
  expect(version(7)).toBe(4096n);
  expect(version(8, AT)).toBe(0n);
  expect(memory.read(AT, 16)).toEqual(new Uint8Array(16).fill(7));
  expect(version(9, AT)).toBe(EPERM);
  expect(version(99, AT)).toBe(ENOSYS);
});

describe("memory_op", () => {
  test("shared_info goes where the guest wants it, with what is in it", () => {
    expect(mapSharedInfo(16)).toBe(0n);
    // The wall clock: version, seconds.
    expect([memory.readU32(0x10000 + 3072), memory.readU32(0x10000 + 3076)]).toEqual([2, 1_750_000_000]);
    expect(evtchn(7, 0, 0)).toBe(0n);
    const port = word(1);
    expect(evtchn(4, port)).toBe(0n);
    expect(memory.readU8(0x10000 + 2048) & (1 << port)).not.toBe(0);
    expect(mapSharedInfo(17)).toBe(0n);
    expect(memory.readU8(0x11000 + 2048) & (1 << port)).not.toBe(0);
  });

  test("grant frames, too; the toolstack's two grants are there", () => {
    put(SELF, 1, 0, 0, 20, 0);
    expect(call(12, [7, AT])).toBe(0n);
    expect([0, 4, 8, 12].map((at) => memory.readU32(20 * 4096 + at))).toEqual([
      1,
      REGION.console,
      1,
      REGION.xenstore,
    ]);
  });

  test.each([
    ["another domain", [5, 0, 0, 0, 16, 0], ESRCH],
    ["dom0", [0, 0, 0, 0, 16, 0], EPERM],
    ["a page that is not there", [SELF, 0, 0, 0, REGION.machinePages, 0], EINVAL],
    ["a second shared_info", [SELF, 0, 1, 0, 16, 0], EINVAL],
    ["a grant frame too many", [SELF, 1, 32, 0, 16, 0], EINVAL],
    ["a space that is not offered", [SELF, 2, 0, 0, 16, 0], ENOSYS],
  ])("%s is refused", (_, words, error) => {
    put(...words);
    const before = host.save();
    expect(call(12, [7, AT])).toBe(error);
    expect({ ...host.save(), statistics: null }).toEqual({ ...before, statistics: null });
  });

  test("the memory map is that of hvm_start_info", () => {
    put(8, 0, 0x6000, 0);
    expect(call(12, [9, AT])).toBe(0n);
    expect(word(0)).toBe(REGION.memoryMap.length);
    for (const [i, { address, size, type }] of REGION.memoryMap.entries()) {
      const at = 0x6000 + i * 20;
      expect([memory.readU64(at), memory.readU64(at + 8), memory.readU32(at + 16)]).toEqual([
        BigInt(address),
        BigInt(size),
        type,
      ]);
    }
    put(1, 0, 0x6000, 0);
    expect(call(12, [9, AT])).toBe(0n);
    expect(word(0)).toBe(1);
  });

  test("ballooning: pages go and come back empty", () => {
    memory.writeU64(0x7000, 100n);
    memory.writeU64(0x7008, 101n);
    memory.writeU32(100 * 4096, 0xdead);
    const reservation = [0x7000, 0, 2, 0, 0, 0, SELF, 0];
    put(...reservation);
    expect(call(12, [1, AT])).toBe(2n);
    put(SELF);
    expect(call(12, [3, AT])).toBe(BigInt(RAM_PAGES - 2));
    put(...reservation);
    // They are gone already.
    expect(call(12, [1, AT])).toBe(0n);
    expect(call(12, [6, AT])).toBe(2n);
    expect(memory.readU32(100 * 4096)).toBe(0);
    expect(call(12, [6, AT])).toBe(0n);
  });
});

describe("hvm_op", () => {
  const param = (op: number, index: number, value = 0n, domid = SELF): bigint => {
    put(domid, index, Number(value & 0xffffffffn), Number(value >> 32n));
    return call(34, [op, AT]);
  };

  test("parameters a guest may read", () => {
    for (const [index, value] of [
      [1, REGION.xenstore],
      [2, XENSTORE_PORT],
      [17, REGION.console],
      [18, CONSOLE_PORT],
    ]) {
      expect(param(1, index!)).toBe(0n);
      expect(word(2)).toBe(value);
    }
  });

  test.each([
    ["a parameter of the device model", 1, 5, SELF, EPERM],
    ["a parameter that is not there", 1, 39, SELF, EINVAL],
    ["writing the toolstack's", 0, 1, SELF, EPERM],
    ["another domain's", 1, 1, 3, ESRCH],
    ["an operation that is not there", 77, 1, SELF, ENOSYS],
  ])("%s is refused", (_, op, index, domid, error) => {
    expect(param(op, index, 0n, domid)).toBe(error);
  });

  test("the callback by vector is asserted while the upcall is pending", () => {
    mapSharedInfo(16);
    expect(param(0, 0, (2n << 56n) | 0xf3n)).toBe(0n);
    expect(host.interrupt).toBeUndefined();
    expect(evtchn(7, 0, 0)).toBe(0n);
    expect(evtchn(4, word(1))).toBe(0n);
    expect(host.interrupt).toBe(0xf3);
    host.acknowledge(0xf3);
    expect(host.interrupt).toBeUndefined();
    // Not looked at yet by the guest: asserted again; then it is.
    host.settle();
    expect(host.interrupt).toBe(0xf3);
    memory.writeU8(0x10000, 0);
    host.settle();
    expect(host.interrupt).toBeUndefined();
  });

  test("the upcall vector goes through the local APIC, and needs its EOI", () => {
    host.writeMsr(0x1b, 0xfee00d00n, 0);
    host.writeMsr(0x80f, 0x1ffn, 0);
    expect(call(34, [23, put(0, 0xf3)])).toBe(0n);
    expect(host.interrupt).toBe(0xf3);
    host.acknowledge(0xf3);
    expect(host.interrupt).toBeUndefined();
    expect(evtchn(7, 0, 0)).toBe(0n);
    expect(evtchn(4, word(1))).toBe(0n);
    expect(host.interrupt).toBeUndefined();
    expect(host.writeMsr(0x80b, 0n, 0)).toBe(true);
    expect(host.interrupt).toBe(0xf3);
    expect(call(34, [23, put(0, 15)])).toBe(EINVAL);
    expect(call(34, [23, put(1, 0xf3)])).toBe(ENOENT);
  });
});

describe("event_channel_op", () => {
  test.each([
    ["bind_virq: no such VIRQ", 1, [24, 0, 0], EINVAL],
    ["bind_virq: no such processor", 1, [0, 1, 0], ENOENT],
    ["bind_ipi: no such processor", 7, [1, 0], ENOENT],
    ["bind_interdomain: no such domain", 0, [9, 1, 0], ESRCH],
    ["bind_interdomain: nobody waits there", 0, [0, 1, 0], EINVAL],
    ["close: not open", 3, [77], EINVAL],
    ["send: not open", 4, [77], EINVAL],
    ["status: no such domain", 5, [9, 1, 0, 0, 0, 0], ESRCH],
    ["status: no such port", 5, [SELF, 4096, 0, 0, 0, 0], EINVAL],
    ["alloc_unbound: for another domain", 6, [3, 0], ESRCH],
    ["bind_vcpu: no such processor", 8, [1, 1], ENOENT],
    ["unmask: no such port", 9, [4096], EINVAL],
    ["init_control: for a processor that is not there", 11, [1, 0, 0, 9, 0, 0], ENOENT],
    ["set_priority: no FIFO", 13, [1, 1], ENOSYS],
  ])("%s", (_, op, words, error) => {
    const before = host.save();
    expect(evtchn(op, ...words)).toBe(error);
    expect({ ...host.save(), statistics: null }).toEqual({ ...before, statistics: null });
  });

  test("a VIRQ is bound once", () => {
    expect(evtchn(1, 0, 0, 0)).toBe(0n);
    expect(word(2)).toBe(3);
    expect(evtchn(1, 0, 0, 0)).toBe(EEXIST);
    expect(evtchn(3, 3)).toBe(0n);
    expect(evtchn(1, 0, 0, 0)).toBe(0n);
  });

  test("a masked port is marked, and the upcall comes with its unmasking", () => {
    mapSharedInfo(16);
    evtchn(7, 0, 0);
    const port = word(1);
    memory.writeU8(0x10000 + 2560, 1 << port);
    evtchn(4, port);
    expect([memory.readU8(0x10000 + 2048), memory.readU8(0x10000)]).toEqual([1 << port, 0]);
    evtchn(9, port);
    expect([memory.readU8(0x10000 + 2560), memory.readU8(0x10000), memory.readU64(0x10008)]).toEqual([
      0,
      1,
      1n,
    ]);
  });

  test("two ports of the guest's own, connected", () => {
    expect(evtchn(6, SELF | (SELF << 16), 0)).toBe(0n);
    const first = word(1);
    expect(evtchn(0, SELF, first, 0)).toBe(0n);
    const second = word(2);
    mapSharedInfo(16);
    memory.writeU8(0x10000 + 2048, 0);
    expect(evtchn(4, second)).toBe(0n);
    expect(memory.readU8(0x10000 + 2048)).toBe(1 << first);
    expect(evtchn(5, SELF, first, 0, 0, 0, 0)).toBe(0n);
    expect([word(2), word(4) & 0xffff, word(5)]).toEqual([2, 1, second]);
    expect(evtchn(3, second)).toBe(0n);
    expect(evtchn(5, SELF, first, 0, 0, 0, 0)).toBe(0n);
    expect(word(2)).toBe(1);
  });
});

describe("vcpu_op", () => {
  const timer = (deadline: number, flags = 0, now = 0): bigint => vcpu(8, 0, put(deadline, 0, flags, 0), now);

  test("no other processor than 0", () => {
    expect(vcpu(3, 0, 0)).toBe(1n);
    expect(vcpu(3, 1, 0)).toBe(ENOENT);
  });

  test("the one-shot timer raises VIRQ_TIMER", () => {
    evtchn(1, 0, 0, 0);
    mapSharedInfo(16);
    expect(timer(5000)).toBe(0n);
    expect(host.deadline).toBe(5000);
    host.advance(4999);
    expect(memory.readU8(0x10000 + 2048)).toBe(0);
    host.advance(5000);
    expect(memory.readU8(0x10000 + 2048)).toBe(8);
    expect(host.deadline).toBeUndefined();
    // VCPU_SSHOTTMR_future, with a time that is past.
    expect(timer(5000, 1, 6000)).toBe(-62n);
  });

  test("the periodic timer: not below a millisecond", () => {
    expect(vcpu(6, 0, put(999_999, 0))).toBe(EINVAL);
    expect(vcpu(6, 0, put(2_000_000, 0), 100)).toBe(0n);
    expect(host.deadline).toBe(2_000_100);
    host.advance(6_500_000);
    expect(host.deadline).toBe(8_000_100);
    expect(vcpu(7, 0, 0)).toBe(0n);
    expect(host.deadline).toBeUndefined();
  });

  test("vcpu_info moves once, everything pending", () => {
    expect(vcpu(10, 0, put(30, 0, 4096 - 32, 0))).toBe(EINVAL);
    expect(vcpu(10, 0, put(REGION.machinePages, 0, 0, 0))).toBe(EINVAL);
    expect(vcpu(10, 0, put(30, 0, 0x80, 0))).toBe(0n);
    const at = 30 * 4096 + 0x80;
    expect([memory.readU8(at), memory.readU64(at + 8)]).toEqual([1, 2n ** 64n - 1n]);
    // The clock: multiplier and shift of one tick a nanosecond.
    expect([memory.readU32(at + 56), memory.readU8(at + 60)]).toEqual([0x80000000, 1]);
    expect(vcpu(10, 0, put(31, 0, 0, 0))).toBe(EINVAL);
  });

  test("runstate adds up to the time there was", () => {
    expect(vcpu(5, 0, put(0x9000, 0), 100)).toBe(0n);
    host.wasIdle(400, 1000);
    expect(memory.readU32(0x9000)).toBe(0);
    expect([0, 1, 2, 3].map((i) => memory.readU64(0x9010 + i * 8))).toEqual([600n, 0n, 400n, 0n]);
  });

  test("an NMI", () => {
    expect(vcpu(11, 0, 0)).toBe(0n);
    expect(nmis).toBe(1);
  });
});

describe("sched_op", () => {
  test.each([
    [0, "poweroff"],
    [1, "reboot"],
    [3, "crash"],
  ])("shutdown %d is %s", (code, reason) => {
    expect(call(29, [2, put(code)])).toBe(0n);
    expect(host.end).toEqual({ kind: "shutdown", reason, code });
  });

  test("block waits for an event", () => {
    evtchn(7, 0, 0);
    const port = word(1);
    expect(call(29, [1, 0])).toBe(0n);
    expect(host.isWaiting).toBe(true);
    evtchn(4, port);
    host.advance(1);
    expect(host.isWaiting).toBe(false);
  });

  test("poll waits for its ports, or its time", () => {
    memory.writeU32(0x6000, 3);
    expect(call(29, [3, put(0x6000, 0, 1, 0, 5000, 0)])).toBe(0n);
    expect([host.isWaiting, host.deadline]).toEqual([true, 5000]);
    host.advance(5000);
    expect(host.isWaiting).toBe(false);
    expect(call(29, [3, put(0x6000, 0, 129, 0, 0, 0)])).toBe(EINVAL);
    memory.writeU32(0x6000, 4096);
    expect(call(29, [3, put(0x6000, 0, 1, 0, 0, 0)])).toBe(EINVAL);
  });

  test("poll until the end of time is poll without a time; what has another sign is long past", () => {
    memory.writeU32(0x6000, 3);
    expect(call(29, [3, put(0x6000, 0, 1, 0, -1, -1)])).toBe(0n);
    expect(host.isWaiting).toBe(false);
    expect(call(29, [3, put(0x6000, 0, 1, 0, -1, 0x7fffffff)])).toBe(0n);
    expect([host.isWaiting, host.deadline]).toEqual([true, undefined]);
  });
});

test("grant tables: version 1 only, of this domain only", () => {
  expect(call(20, [6, put(SELF, 0, 0, 0), 1])).toBe(0n);
  expect([word(1), word(2), word(3) & 0xffff]).toEqual([32, 32, 0]);
  expect(call(20, [6, put(9, 0, 0, 0), 1])).toBe(0n);
  expect(word(3) & 0xffff).toBe(0xfffe);
  expect(call(20, [8, put(1), 1])).toBe(0n);
  expect(call(20, [8, put(2), 1])).toBe(ENOSYS);
  expect(call(20, [8, put(3), 1])).toBe(EINVAL);
  expect(call(20, [6, put(SELF), 2])).toBe(EINVAL);
});

test("multicall: each entry gets its result, and is counted", () => {
  memory.writeU64(0x6000, 17n);
  memory.writeU64(0x6040, 99n);
  memory.writeU64(0x6080, 13n);
  expect(call(13, [0x6000, 3])).toBe(0n);
  expect([0, 1, 2].map((i) => BigInt.asIntN(64, memory.readU64(0x6008 + i * 64)))).toEqual([
    0x40011n,
    ENOSYS,
    ENOSYS,
  ]);
  expect(host.statistics().totals.calls).toBe(4);
});

test("multicall: one that prints or moves much is made again for the entries that are left, none is cut short", () => {
  /** What is printed each time that the call is made, and all results. */
  const entries = (list: readonly (readonly bigint[])[]): [printed: number[], results: bigint[]] => {
    for (const [i, [op = 0n, ...args]] of list.entries()) {
      memory.writeU64(0x6000 + i * 64, op);
      for (const [n, value] of args.entries()) memory.writeU64(0x6000 + i * 64 + 16 + n * 8, value);
    }
    const printed = callUntilItEnds(13, [0x6000n, BigInt(list.length)]);
    return [lengths(printed), list.map((_, i) => memory.readU64(0x6008 + i * 64))];
  };
  const calls = (): number => host.statistics().totals.calls;
  const print = [18n, 0n, BigInt(3 << 18), 0n];
  expect(entries(Array(5).fill(print))).toEqual([[6 << 18, 6 << 18, 3 << 18], Array(5).fill(0n)]);
  // Those of the entries, and one.
  expect(calls()).toBe(6);

  // 1024 pages are given back and taken again, 40 times.
  memory.writeU64(0x9000, 1024n);
  for (const [i, value] of [0x9000, 0, 1, 0, 10, 0, SELF, 0].entries())
    memory.writeU32(0x9100 + i * 4, value);
  const move = (op: bigint): readonly bigint[] => [12n, op, 0x9100n];
  const [turns, results] = entries(Array.from({ length: 40 }, () => [move(1n), move(6n)]).flat());
  expect(turns).toHaveLength(2);
  expect(results).toEqual(Array(80).fill(1n));
});

describe("a text that is longer than one call prints", () => {
  const text = Uint8Array.from({ length: 0x280000 }, (_, i) => (i * 7) >> 8);
  const print = [0n, BigInt(text.length), 0x100000n];
  beforeEach(() => memory.write(0x100000, text));

  test("is printed to its end, once", () => {
    const printed = callUntilItEnds(18, print);
    expect(lengths(printed)).toEqual([1 << 20, 1 << 20, 1 << 19]);
    expect(Buffer.concat(printed).equals(text)).toBe(true);
    expect(host.statistics().totals.calls).toBe(1);
  });

  test("also by a multicall, whose next entry comes after it", () => {
    for (const [i, value] of [18n, 0n, ...print].entries()) memory.writeU64(0x6000 + i * 8, value);
    for (const [i, value] of [18n, 0n, 0n, 3n, 0x100000n].entries()) memory.writeU64(0x6040 + i * 8, value);
    const printed = Buffer.concat(callUntilItEnds(13, [0x6000n, 2n]));
    expect(printed.equals(Buffer.concat([text, text.subarray(0, 3)]))).toBe(true);
    expect(host.statistics().totals.calls).toBe(3);
  });
});

test("a call that is made again by 32-bit code stays below 4 GiB", () => {
  for (const [i, value] of [18, 0, 0, 0x100000, 0].entries()) memory.writeU32(0x6000 + i * 4, value);
  for (const [i, value] of [18, 0, 0, 0x100000, 0].entries()) memory.writeU32(0x6020 + i * 4, value);
  registers.set("rip", 1n);
  expect(host.hypercall(13, [0x6000n, 2n], false, true, "vmcall", 0)).toBe(13n);
  expect(["rip", "rbx", "rcx"].map((name) => registers.get(name))).toEqual([0xfffffffen, 0x6020n, 1n]);
});

test("event channels: as many as xl gives a guest, with FIFO queues, too", () => {
  expect(evtchn(11, 100, 0, 0, 0, 0, 0)).toBe(0n);
  let last = 0n;
  let ports = 0;
  for (; last === 0n && ports < 5000; ports++) last = evtchn(7, 0, 0);
  expect(last).toBe(ENOSPC);
  // The toolstack's two were there; the last attempt failed.
  expect(ports).toBe(1023 - 2 + 1);
});

test("32-bit arguments: the same calls with i386's layouts", () => {
  const narrow = (number: number, ...args: number[]): bigint =>
    host.hypercall(number, args.map(BigInt), false, true, "port", 0);
  // hvm_op latches the word size of shared_info.
  expect(narrow(34, 0, put(SELF, 0, 0xf3, 0x02000000))).toBe(0n);
  expect(narrow(12, 7, put(SELF, 0, 0, 16))).toBe(0n);
  expect(narrow(32, 7, put(0, 0))).toBe(0n);
  const port = word(1);
  expect(narrow(32, 4, put(port))).toBe(0n);
  expect(memory.readU32(0x10000 + 2048)).toBe(1 << port);
  expect(memory.readU32(0x10000 + 4)).toBe(1);
  // set_timer_op has its deadline in two registers.
  expect(narrow(15, 7, 1)).toBe(0n);
  expect(host.deadline).toBe(2 ** 32 + 7);
});

test("the hypercall page: 128 entries that load their number and leave by the port", () => {
  expect(host.writeMsr(0x40000000, 0x8000n, 0)).toBe(true);
  expect(memory.read(0x8000, 4096)).toEqual(hvmHypercallPage());
  const entry = memory.read(0x8000 + 17 * 32, 9);
  expect([...entry]).toEqual([0xb8, 17, 0, 0, 0, 0xe7, 0xec, 0xc3, 0xcc]);
  expect(host.writeMsr(0x40000000, BigInt(REGION.machinePages) << 12n, 0)).toBe(false);
  expect(host.writeMsr(0x40000000, 0x8002n, 0)).toBe(false);
  expect(host.writeMsr(0x40000001, 0n, 0)).toBe(false);
});

test("what is saved is the whole: a host made from it does the same", () => {
  mapSharedInfo(16);
  evtchn(1, 0, 0, 0);
  vcpu(8, 0, put(9000, 0, 0, 0));
  const saved = host.save();
  const copy = new HvmHost(
    processorOf(memory, () => {}),
    RAM_PAGES,
    structuredClone(saved),
  );
  expect(copy.save()).toEqual(saved);
  expect(copy.deadline).toBe(9000);
});

test("power off and reset by the ports that ACPI names", () => {
  host.write(0xe40, 1, 0x34, 0);
  expect(host.end).toEqual({ kind: "shutdown", reason: "poweroff", code: 0 });
});
