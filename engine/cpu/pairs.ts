/**
 * Pairs of micro-ops that the interpreter runs in one dispatch.
 *
 * A dispatch costs about as much as a simple op does, so the pairs that run most often (counted over a boot of Debian and
 * the benchmark's loops) have a case of their own: the first op's code is replaced by the pair's, the second op stays as
 * it is behind it. The cases are not written by hand: the build puts the two ops' own cases one behind the other, so a
 * pair means what its parts mean, faults included.
 */

/** [first, second]: names of Op. The first must be a single op that does not end its block. */
export const PAIRS: readonly (readonly [string, string])[] = [
  // loops: step, compare, go round
  ["INC32_N", "INC64_N"],
  ["INC32_N", "CMPJ32_RR_B"],
  ["INC32_N", "CMPJ32_RR_NE"],
  ["INC32_N", "CMPJ32_RI_NE"],
  ["INC64_N", "CMPJ32_RR_NE"],
  ["INC64_N", "CMPJ64_RR_NE"],
  ["INC64_N", "CMPJ64_RR_B"],
  ["ADD64_RI_N", "CMPJ64_RR_NE"],
  ["ADD64_RI_N", "CMPJ64_RR_B"],
  ["ADD32_RI_N", "CMPJ32_RR_NE"],
  ["ADD32_RI_N", "ADD32_RI_N"],
  ["ADD64_RR_N", "CMPJ64_RR_AE"],
  ["ADD64_RR_N", "CMPJ64_RR_B"],
  ["XOR32_RR_N", "CMPJ32_RR_NE"],
  ["XOR32_RR", "DECJ32_NE"],
  ["LDZX8", "TESTJ8_RR_E"],
  ["LD64_BD", "TESTJ64_RR_E"],
  ["LD64_BD", "TESTJ64_RR_NE"],
  ["LD32_BD", "TESTJ32_RR_E"],
  ["LD32_BD", "CMPJ32_RI_E"],
  // arithmetic
  ["ADD64_RR_N", "ADD64_RR_N"],
  ["ADD64_RR_N", "XOR64_RR"],
  ["ADD64_RR_N", "CMP64_RR"],
  ["ADD64_RR_N", "MOV64_RR"],
  ["ADD64_RR_N", "SHL64_I_N"],
  ["SHL64_I_N", "ADD64_RR_N"],
  ["SHR64_I_N", "ADD64_RR_N"],
  ["SHR64_I_N", "IMUL64_RR_N"],
  ["IMUL64_RR_N", "IMUL64_RR_N"],
  ["IMUL64_RR_N", "MOV64_RR"],
  ["NEG32_N", "AND32_RI_N"],
  ["SHR32_I_N", "XOR32_RR"],
  ["AND32_RI_N", "SHR32_I_N"],
  ["AND32_RR_N", "XOR32_RR_N"],
  ["ADD32_RR_N", "MOV32_RR"],
  ["XOR32_RR_N", "XOR32_RR_N"],
  ["XOR32_RR_N", "ROL32_I_N"],
  ["XOR32_RR_N", "ROR32_I_N"],
  ["ROL32_I_N", "XOR32_RR_N"],
  ["ROR32_I_N", "XOR32_RR_N"],
  ["ROR32_I_N", "ROR32_I_N"],
  ["CMP64_RR", "SETCC"],
  ["MOV64_RR", "CMOV64"],
  ["MOVSX32_64_RR", "SUB64_RR"],
  // moves
  ["MOV64_RR", "MOV64_RR"],
  ["MOV64_RR", "MOV32_RR"],
  ["MOV64_RR", "LD64_BD"],
  ["MOV64_RR", "CALL"],
  ["MOV64_RR", "PUSH64"],
  ["MOV64_RR", "LEA32"],
  ["MOV32_RR", "MOV32_RR"],
  ["MOV32_RR", "MOV64_RR"],
  ["MOV32_RR", "ADD32_RR_N"],
  ["MOV32_RR", "SHR64_I_N"],
  ["MOV32_RR", "ROR32_I_N"],
  ["MOV32_RR", "RET"],
  ["LEA32", "CALL"],
  ["LD64", "LD64"],
  ["LD64", "LEA64"],
  ["LD64_BD", "LD64_BD"],
  ["LD64_BD", "MOV64_RR"],
  ["LD64_BD", "MOVZX8_RR"],
  // stack and stores
  ["POP64", "POP64"],
  ["POP64", "RET"],
  ["PUSH64", "PUSH64"],
  ["PUSH64", "MOV64_RR"],
  ["PUSH64", "MOV32_RR"],
  ["ST64", "ST64"],
  ["ST64", "ADD64_RI_N"],
  ["ST64_BD", "ST64_BD"],
  ["ST64_BD", "ADD64_RR_N"],
  ["STI8", "ADD64_RR_N"],
  ["STI8", "INC32_N"],
];

/** Ops that store: what they store may be the code of the op behind them. */
const STORES = /^(ST|PUSH)/;

/** The body of `case Op.NAME: { … }` in the interpreter's source, without the braces. */
function bodyOf(source: string, name: string): string {
  const head = `case Op.${name}: {`;
  const from = source.indexOf(head);
  if (from < 0) throw new Error(`pairs.ts names ${name}, which interp.ts has no case for`);
  let depth = 1;
  let at = from + head.length;
  for (; depth > 0; at++) {
    if (source[at] === "{") depth++;
    else if (source[at] === "}") depth--;
  }
  return source.slice(from + head.length, at - 1).trim();
}

const NEXT = /p \+= 16; continue;$/;

/** The interpreter's source with the pairs' cases in the place marked for them. */
export function withPairs(source: string): string {
  const cases = PAIRS.map(([first, second], i) => {
    const body = bodyOf(source, first);
    if (!NEXT.test(body)) throw new Error(`${first} cannot be the first of a pair`);
    const advance = STORES.test(first)
      ? "p += 16; if (load<u16>(p) == <u16>Op.RESYNC) continue;"
      : "p += 16;";
    return `      case Op.PAIRS + ${i}: { { ${body.replace(NEXT, advance)} } ${bodyOf(source, second)} }`;
  });
  return source.replace("      // @pairs", cases.join("\n"));
}

/** The look-up of a pair's code, in AssemblyScript. */
export function pairLookup(): string {
  const cases = PAIRS.map(
    ([first, second], i) => `    case (Op.${first} << 16) | Op.${second}: return Op.PAIRS + ${i};`,
  );
  return [
    'import { Op } from "./ops";',
    "/** The code that runs two ops in one dispatch, or -1. */",
    "export function pairOf(first: i32, second: i32): i32 {",
    "  switch ((first << 16) | second) {",
    ...cases,
    "    default: return -1;",
    "  }",
    "}",
    "",
  ].join("\n");
}
