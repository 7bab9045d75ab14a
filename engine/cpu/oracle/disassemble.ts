// What a case is, for people.

import iced from "iced-x86";
import type { Case } from "./case.ts";

const { Decoder, DecoderOptions } = iced;

export function disassemble(c: Case): string {
  const code = c.patches[0]!;
  const decoder = new Decoder(c.mode, code.bytes, DecoderOptions.None);
  decoder.ip = BigInt(code.address);
  const lines: string[] = [];
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    const text = instruction.toString();
    if (text !== "nop" || c.instructions === 1) lines.push(text);
    instruction.free();
  }
  decoder.free();
  return lines.join("; ");
}

/** The case's own text, or its code as assembly. */
export function describeCase(c: Case): string {
  return c.text === "" ? disassemble(c) : c.text;
}
