/*
 * The console ring in both directions, as Linux's hvc_xen and Xen's xenconsoled use it: output across the ring's end,
 * input that has to wait for room, indices that wrap at 2^32, and a guest that writes nonsense into them.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { DOMAIN_LIMITS } from "../limits.ts";
import { ConsoleBackend } from "./console.ts";
import { ArrayMemory } from "./testing/memory.ts";

const PAGE = 0x2000;
const OUT = 1024;
const IN_CONS = 3072;
const IN_PROD = 3076;
const OUT_CONS = 3080;
const OUT_PROD = 3084;

let memory: ArrayMemory;
let backend: ConsoleBackend;

beforeEach(() => {
  memory = new ArrayMemory(4);
  backend = new ConsoleBackend(memory, PAGE);
});

function guestPrints(text: string): void {
  let producer = memory.readU32(PAGE + OUT_PROD);
  for (const byte of new TextEncoder().encode(text)) {
    memory.writeU8(PAGE + OUT + (producer % 2048), byte);
    producer = (producer + 1) >>> 0;
  }
  memory.writeU32(PAGE + OUT_PROD, producer);
}

function guestReads(): string {
  const producer = memory.readU32(PAGE + IN_PROD);
  let consumer = memory.readU32(PAGE + IN_CONS);
  let text = "";
  for (; consumer !== producer; consumer = (consumer + 1) >>> 0) {
    text += String.fromCharCode(memory.readU8(PAGE + (consumer % 1024)));
  }
  memory.writeU32(PAGE + IN_CONS, consumer);
  return text;
}

const output = (): string => new TextDecoder().decode(backend.takeOutput());

describe("output", () => {
  test("comes once, in order, with console_io's in between", () => {
    guestPrints("one ");
    expect(backend.serve()).toBe(true);
    backend.append(new TextEncoder().encode("two "));
    guestPrints("three");
    expect(backend.serve()).toBe(true);
    expect(output()).toBe("one two three");
    expect(backend.serve()).toBe(false);
    expect(output()).toBe("");
  });

  test("wraps around the ring and its indices", () => {
    memory.writeU32(PAGE + OUT_CONS, 0xffffff80);
    memory.writeU32(PAGE + OUT_PROD, 0xffffff80);
    const text = "x".repeat(1500) + "y".repeat(500);
    for (let round = 0; round < 5; round++) {
      guestPrints(text);
      backend.serve();
      expect(output()).toBe(text);
    }
    expect(memory.readU32(PAGE + OUT_CONS)).toBe(memory.readU32(PAGE + OUT_PROD));
  });

  test("of impossible length is dropped, and the ring goes on", () => {
    guestPrints("lost");
    memory.writeU32(PAGE + OUT_PROD, 0x80000000);
    expect(backend.serve()).toBe(true);
    expect(output()).toBe("");
    guestPrints("found");
    backend.serve();
    expect(output()).toBe("found");
  });
});

describe("input", () => {
  test("goes into the ring at once, and the rest as the guest reads", () => {
    const text = Array.from({ length: 3000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join("");
    expect(backend.input(new TextEncoder().encode(text))).toBe(true);
    let received = "";
    for (let round = 0; round < 3; round++) {
      received += guestReads();
      expect(backend.serve()).toBe(round < 2);
    }
    expect(received).toBe(text);
  });

  test("is bounded while it waits", () => {
    const half = new Uint8Array(DOMAIN_LIMITS.consoleInputBytes / 2 + 10);
    backend.input(half);
    backend.input(half);
    backend.input(half);
    expect(backend.save().waitingInput.length).toBeLessThanOrEqual(DOMAIN_LIMITS.consoleInputBytes);
  });

  test("waits while the guest's indices are impossible", () => {
    memory.writeU32(PAGE + IN_PROD, 5000);
    expect(backend.input(new TextEncoder().encode("abc"))).toBe(false);
    memory.writeU32(PAGE + IN_PROD, 0);
    expect(backend.serve()).toBe(true);
    expect(guestReads()).toBe("abc");
  });
});

test("what is saved goes on: output not taken, input not delivered", () => {
  guestPrints("before ");
  backend.serve();
  backend.input(new Uint8Array(1500).fill(0x61));
  const saved = JSON.parse(JSON.stringify(backend.save()));
  backend = new ConsoleBackend(memory, PAGE, saved);
  guestPrints("after");
  guestReads();
  backend.serve();
  expect(output()).toBe("before after");
  expect(guestReads()).toBe("a".repeat(476));
});
