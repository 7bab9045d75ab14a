// What our decoder's micro-ops are called, by the mnemonic of the instruction: most have its name.

/** An operand that is loaded first, or a bit's offset. */
const PRELUDE = /^(?:LD(?:ZX)?\d+|BIT_OFFSET) /;

/** The mnemonics whose micro-ops have other names. */
const OTHERS: readonly (readonly [mnemonic: RegExp, ours: RegExp])[] = [
  [/^cmov/, /^CMOV$/],
  [/^set/, /^SETCC( ST8)?$/],
  [/^j[er]?cxz$/, /^JCXZ$/],
  [/^jmp$/, /^(JUMP|JUMP_R|JMP_NEAR|JMP_FAR|JMP_FAR_M)$/],
  [/^call$/, /^(CALL|CALL_R|CALL_NEAR|CALL_FAR|CALL_FAR_M)$/],
  [/^ret$/, /^(RET|RET_NEAR)$/],
  [/^retf$/, /^RET_FAR$/],
  [/^iret[dq]$/, /^IRET$/],
  [/^sysexitq$/, /^SYSEXIT$/],
  [/^sysretq$/, /^SYSRET$/],
  [/^(ins|outs)[bwd]$/, /^(INS|OUTS)$/],
  [/^(pusha|popa|pushf|popf)[dq]?$/, /^(PUSHA|POPA|PUSHF|POPF)$/],
  [/^push$/, /^(PUSH|PUSHI|PUSH_I|PUSH_SEG)$/],
  [/^pop$/, /^(POP|POP_SEG|POP_RM)$/],
  [/^l[defgs]s$/, /^LOAD_FAR$/],
  [/^lss$/, /^LOAD_FAR$/],
  [/^lea$/, /^(LEA|MOV|MOVZX)$/],
  [/^mov$/, /^(MOV|LD|ST|STI|MOV_FROM_SEG|MOV_TO_SEG|MOV_FROM_[CD]R|MOV_TO_[CD]R)$/],
  [/^movbe$/, /^MOVBE_(LOAD|STORE)$/],
  [/^movsxd?$/, /^(MOVSX|LDSX|MOV)$/],
  [/^movzx$/, /^(MOVZX|LDZX)$/],
  [/^crc32$/, /^CRC32_8$/],
  [/^xlatb$/, /^LD$/],
  [/^[rw][dr][fg]sbase$/, /^FSGSBASE$/],
  [/^(prefetch\w*|[lms]fence|pause|reservednop)$/, /^NOP$/],
  [/^invd$/, /^WBINVD$/],
  [/^sal$/, /^(SHL|SAL)$/],
  // By a count of 0 only the upper half changes.
  [/^(rol|ror|rcl|rcr|shl|sal|shr|sar)$/, /^MOV$/],
];

const CONDITIONS = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];

/** A micro-op's name without operand kinds and sizes: ADD32_RR is ADD. */
function plain(name: string): string {
  return name.replace(/(?<=[A-Z])\d+\w*$/, "").replace(/_(R|I|RM|MR|CL)$/, "");
}

/** Conditional jumps have an op for each condition; the first has none in its name. */
function isJump(mnemonic: string, ours: string): boolean {
  const condition = ours === "JCC" ? "o" : ours.startsWith("JCC_") ? ours.slice(4).toLowerCase() : undefined;
  return condition !== undefined && mnemonic === `j${condition}`;
}

/** Number of the condition in the name of SETcc and CMOVcc, or undefined. */
export function conditionOf(mnemonic: string): number | undefined {
  const match = /^(?:cmov|set)(\w+)$/.exec(mnemonic);
  const index = match === null ? -1 : CONDITIONS.indexOf(match[1]!);
  return index < 0 ? undefined : index;
}

const cache = new Map<string, boolean>();

/** Can the instruction be these micro-ops? */
export function sameInstruction(mnemonic: string, names: readonly string[]): boolean {
  const joined = names.join(" ");
  const key = `${mnemonic}:${joined}`;
  let same = cache.get(key);
  if (same === undefined) {
    const own = joined.replace(PRELUDE, "");
    const short = own.includes(" ") ? own : plain(own);
    same =
      short.toLowerCase() === mnemonic ||
      own.toLowerCase() === mnemonic ||
      isJump(mnemonic, own) ||
      OTHERS.some(([m, o]) => m.test(mnemonic) && (o.test(short) || o.test(own)));
    cache.set(key, same);
  }
  return same;
}
