// The oracle itself: a state that is loaded into the real processor comes out of it unchanged but for what the code did,
// memory changes are reported and undone, and every way a case can end is told apart. Skipped where there is no gcc or no
// Linux on x86-64.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { oracleUnavailable } from "./build.ts";
import { type Case, codeCase, type Outcome } from "./case.ts";
import { CODE, DATA, DATA_READ_ONLY } from "./layout.ts";
import { Processor } from "./processor.ts";
import { Random } from "./random.ts";
import { ARITHMETIC_FLAGS } from "./state.ts";

const code = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));

describe.skipIf(oracleUnavailable() !== undefined)("the real processor", () => {
  let processor: Processor;
  beforeAll(() => {
    processor = new Processor();
  });
  afterAll(() => processor.close());

  const run = async (c: Case): Promise<Outcome> => (await processor.run([c]))[0]!;
  const exception = async (c: Case): Promise<Outcome & { kind: "exception" }> => {
    const outcome = await run(c);
    if (outcome.kind !== "exception") throw new Error(outcome.kind);
    return outcome;
  };

  test("loads every register and reports it again", async () => {
    const r = new Random(3);
    const c = codeCase(code("90"), (s) => {
      for (let i = 0; i < 16; i++) {
        s.setGpr(i, r.u64());
        r.fill(s.xmm(i));
      }
      for (let i = 0; i < 8; i++) r.fill(s.st(i));
      s.rflags = 0x202 | ARITHMETIC_FLAGS | 0x400;
      s.u64[18] = 0x1234_5678n;
      s.u64[19] = 0x7fff_0000_1000n;
      s.mxcsr = 0xbf81;
      s.fcw = 0x77f;
      s.fsw = 0x3801;
      s.ftw = 0xa5;
    });
    const end = await exception(c);
    expect(end.vector).toBe(3);
    const expected = c.state.clone();
    expected.rip = BigInt(CODE + 2); // behind the NOP and the INT3
    // FIP, FDP, FOP and MXCSR_MASK are the processor's own.
    for (const s of [expected, end.state]) s.bytes.fill(0, 176 + 6, 176 + 24).fill(0, 176 + 28, 176 + 32);
    expect(Buffer.from(end.state.bytes).toString("hex")).toBe(Buffer.from(expected.bytes).toString("hex"));
    expect(end.changes).toEqual([]);
  });

  test("reports what memory changed, and starts the next case from the same memory", async () => {
    const store = codeCase(code("48 89 04 25 fc 0f 20 00"), (s) => s.setGpr(0, 0x0102_0304_0506_0708n));
    for (let i = 0; i < 2; i++) {
      const end = await exception(store);
      expect(end.changes).toEqual([{ address: DATA + 0xffc, bytes: code("08 07 06 05 04 03 02 01") }]);
    }
    const load = codeCase(code("8b 04 25 00 00 20 00"), undefined, [
      { address: DATA, bytes: code("78 56 34 12") },
    ]);
    expect((await exception(load)).state.gpr(0)).toBe(0x12345678n);
    expect((await exception(codeCase(code("8b 04 25 00 00 20 00")))).state.gpr(0)).not.toBe(0x12345678n);
  });

  test.each([
    ["#DE", "31 c9 f7 f1", 0, 0, undefined],
    ["#UD", "0f 0b", 6, 0, undefined],
    ["#SS for a non-canonical stack address", "8b 45 00", 12, 0, undefined],
    ["#GP for HLT", "f4", 13, 0, undefined],
    ["#GP with a selector", "66 b8 10 00 8e d8", 13, 0x10, undefined],
    ["#PF reading what is not there", "8b 04 25 00 00 00 00", 14, 4, 0n],
    ["#PF writing a read-only page", "c6 04 25 00 40 20 00 01", 14, 7, BigInt(DATA_READ_ONLY)],
    ["#PF executing data", "68 00 00 20 00 c3", 14, 0x15, BigInt(DATA)],
  ])("%s", async (_name, hex, vector, error, cr2) => {
    const end = await exception(codeCase(code(hex)));
    expect([end.vector, end.error]).toEqual([vector, error]);
    if (cr2 !== undefined) expect(end.cr2).toBe(cr2);
  });

  test("tells endless code and system calls apart, and goes on after them", async () => {
    const outcomes = await processor.run([
      codeCase(code("eb fe")),
      codeCase(code("0f 05")),
      codeCase(code("90")),
    ]);
    expect(outcomes.map((o) => o.kind)).toEqual(["endless", "system-call", "exception"]);
  });

  test("NT and ID stay as the code has set them, though the watchdog looks at it meanwhile", async () => {
    // pushfq; or dword [rsp], NT | ID; popfq; mov ecx, turns; loop $
    const waiting = (turns: number): Case =>
      codeCase(
        code(
          `9c 81 0c 24 00 40 20 00 9d b9 ${turns.toString(16).padStart(8, "0").match(/../g)!.reverse().join("")} e2 fe`,
        ),
      );
    // Twice as long each time, until it is too long: the last that ended was looked at.
    let ended = 0;
    for (let turns = 2 ** 16; turns <= 2 ** 31; turns *= 2) {
      const end = await run(waiting(turns));
      if (end.kind === "endless") break;
      expect(end.state.rflags & 0x204000).toBe(0x204000);
      ended = turns;
    }
    expect(ended).toBeGreaterThan(0);
    expect(ended).toBeLessThan(2 ** 31);
  });
});
