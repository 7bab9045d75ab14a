/**
 * A run is cut into slices by whoever drives it, and nothing of that may show: after N instructions RIP, registers and flags
 * are the same whether the core got there in one go or one instruction at a time. The program here has what the decoder
 * treats specially: jumps that a block follows, a block that begins with a jump, a MOV taken in by the arithmetic behind
 * it, fused compare-and-branch, runs of ops in one dispatch, code that is changed while it runs, and instructions across a page boundary.
 */
import { expect, test } from "vitest";
import type { Cpu } from "./cpu.ts";
import { createCpu } from "./door/create-cpu.ts";
import { REGISTER_NAMES } from "./types.ts";

const CODE = 0x10_0000;
const STEPS = 700;

/** Identity-maps the first 16 MiB by large pages at 0x1000. */
function start(code: Uint8Array, at: number): Cpu {
  const cpu = createCpu({ pages: 4096, model: "v2" });
  cpu.memory.writeU64(0x1000, 0x2003n);
  cpu.memory.writeU64(0x2000, 0x3003n);
  for (let i = 0; i < 8; i++) cpu.memory.writeU64(0x3000 + i * 8, BigInt(i * 0x20_0000) | 0x83n);
  cpu.enterLongMode(0x1000);
  cpu.memory.write(at, code);
  cpu.setRegister("rip", BigInt(at));
  cpu.setRegister("rsp", 0x8_0000n);
  cpu.setRegister("rdi", BigInt(at));
  return cpu;
}

const snapshot = (cpu: Cpu): string =>
  REGISTER_NAMES.map((name) => cpu.getRegister(name).toString(16)).join(" ");

/** The states after 0, 1, 2 … instructions, one at a time. */
function trail(code: Uint8Array, at: number): string[] {
  const cpu = start(code, at);
  const states = [snapshot(cpu)];
  for (let n = 1; n <= STEPS; n++) {
    cpu.run(n);
    states.push(snapshot(cpu));
  }
  return states;
}

// A: jmp B / D: mov rax,rcx; add rax,rbx; inc ebx; cmp ebx,200; jne A; hlt
// B: jmp C / C: mov edx,ebx; xor edx,ecx; inc ecx; inc rsi; push rax; pop rbp; mov byte [rdi+PATCH+1],cl; PATCH: mov al,0; jmp D
const PROGRAM = Uint8Array.from([
  0xeb,
  0x12, // 00 A: jmp 14
  0x48,
  0x89,
  0xc8, // 02 D: mov rax,rcx
  0x48,
  0x01,
  0xd8, // 05 add rax,rbx
  0xff,
  0xc3, // 08 inc ebx
  0x81,
  0xfb,
  0xc8,
  0x00,
  0x00,
  0x00, // 0a cmp ebx,200
  0x75,
  0xee, // 10 jne A
  0xf4, // 12 hlt
  0x90, // 13
  0xeb,
  0x02, // 14 B: jmp 18
  0x90,
  0x90, // 16
  0x89,
  0xda, // 18 C: mov edx,ebx
  0x31,
  0xca, // 1a xor edx,ecx
  0xff,
  0xc1, // 1c inc ecx
  0x48,
  0xff,
  0xc6, // 1e inc rsi
  0x50, // 21 push rax
  0x5d, // 22 pop rbp
  0x88,
  0x4f,
  0x27, // 23 mov [rdi+0x27],cl
  0xb0,
  0x00, // 26 mov al,0, whose immediate the line above writes
  0xeb,
  0xd8, // 28 jmp D
]);

for (const [story, at] of [
  ["inside a page", CODE],
  ["across a page boundary, at its jump", CODE + 0xfff],
  ["across a page boundary, in its arithmetic", CODE + 0x1000 - 7],
  ["across a page boundary, at the code it changes", CODE + 0x1000 - 0x27],
] as const) {
  test(`slices do not show: a program ${story}`, () => {
    const reference = trail(PROGRAM, at);
    for (const slice of [2, 3, 7, 63, 64, 65, 100, 333, STEPS]) {
      const cpu = start(PROGRAM, at);
      for (let n = slice; n <= STEPS; n += slice) {
        cpu.run(n);
        expect(snapshot(cpu), `slices of ${slice}, after ${n}`).toBe(reference[n]);
      }
    }
  });
}
