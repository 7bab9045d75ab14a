/**
 * SHLD and SHRD of 16 bits by 17 to 31: the manual leaves the result open (SDM vol. 2B SHLD), and processors of Intel and
 * AMD do the same thing all the same: the source comes in a second time, and CF is clear. Programs were seen to
 * depend on it, so it is what the core does; the expected values were read off such processors.
 */
import { expect, test } from "vitest";
import { createCpu } from "./door/create-cpu.ts";

const CODE = 0x1000;
const CF = 1n;

test.each([
  { name: "SHLD", opcode: 0xa5, count: 17, result: 0x579bn },
  { name: "SHLD", opcode: 0xa5, count: 31, result: 0xd5e6n },
  { name: "SHRD", opcode: 0xad, count: 17, result: 0xd5e6n },
  { name: "SHRD", opcode: 0xad, count: 31, result: 0x579bn },
])("$name AX, BX by $count", ({ opcode, count, result }) => {
  const cpu = createCpu({ pages: 16 });
  cpu.enterProtectedMode();
  cpu.memory.write(CODE, Uint8Array.from([0xf9, 0x66, 0x0f, opcode, 0xd8, 0xf4])); // STC; SHxD AX, BX, CL; HLT
  cpu.setRegister("rip", BigInt(CODE));
  cpu.setRegister("rax", 0x1234n);
  cpu.setRegister("rbx", 0xabcdn);
  cpu.setRegister("rcx", BigInt(count));
  expect(cpu.run(10).kind).toBe("halt");
  expect(cpu.getRegister("rax")).toBe(result);
  expect(cpu.getRegister("rflags") & CF).toBe(0n);
});
