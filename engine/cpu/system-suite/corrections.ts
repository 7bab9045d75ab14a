// Where qemu 7.2 does something else than a processor, the manual decides: each rule turns what qemu told into what the
// SDM demands, and cites it. A rule that no line needs any more is an error of the tests.

export interface Correction {
  readonly image: string;
  /** Matches the whole line that qemu told. */
  readonly told: RegExp;
  /** Replacement as in String.replace. */
  readonly right: string | ((line: string) => string);
  readonly source: string;
}

const RING0 = "cs=00000008";
const plain = (flags = "00000002") => `${RING0} fl=${flags} sp=00280000`;

/** The hexadecimal field `name=` of a line changed by a function. */
function field(name: string, change: (value: number) => number): (line: string) => string {
  return (line) =>
    line.replace(
      new RegExp(`${name}=([0-9a-f]+)`),
      (_, digits: string) =>
        `${name}=${change(Number.parseInt(digits, 16)).toString(16).padStart(digits.length, "0")}`,
    );
}

/** A #GP(0) of 64-bit mode whose handler runs on the stack of the attempt. */
function longFault(ip: number, flags: number, sp = 0x280000): string {
  const h = (n: number) => n.toString(16).padStart(16, "0");
  const inner = sp & ~15;
  return `#${h(13)} error=${h(0)} ip=+${h(ip)} cs=${h(0x30)} fl=${h(flags)} sp=${h(sp)} ss=${h(0x10)} inner=${h(inner)} now=${h(0x10)}`;
}

const IGNORED_LIMITS =
  "SDM vol. 3A 5.3, 5.5: limits and types are checked at every access; qemu checks neither";
const NON_CANONICAL_TARGET =
  "SDM vol. 2, JMP, RET, IRET, 64-bit mode exceptions: #GP(0) at the branch; qemu faults at its target";

export const CORRECTIONS: readonly Correction[] = [
  {
    image: "protected",
    told: /^null DS may not be used: ok$/,
    right: `null DS may not be used: #0000000d error=00000000 ip=+00000004 ${plain("00000046")}`,
    source: "SDM vol. 3A 3.4.2: an access through a null selector is #GP; qemu does not look",
  },
  ...[
    ["one byte too far", 0],
    ["write one byte too far", 0],
    ["byte beyond", 0],
    ["offset that wraps", 5],
    ["write to read-only data", 0],
    ["write to code", 0],
    ["limit in pages, outside", 0],
    ["at the limit", 0],
    ["below", 0],
    ["double word that begins at the limit", 0],
    ["64 KiB is the top of a small one", 0],
  ].map(([name, at]) => ({
    image: "protected",
    told: new RegExp(`^${name}: ok$`),
    right: `${name}: #0000000d error=00000000 ip=+0000000${at} ${plain()}`,
    source: IGNORED_LIMITS,
  })),
  ...[
    ["stack limit", "00001002"],
    ["stack address by EBP", "002c0000"],
  ].map(([name, sp]) => ({
    image: "protected",
    told: new RegExp(`^${name}: ok$`),
    right: `${name}: #0000000c error=00000000 ip=+0000000c cs=0000001b fl=00000002 ss=0000008b sp=${sp} inner=00290000`,
    source: IGNORED_LIMITS,
  })),
  {
    image: "protected",
    told: /^fault whose gate is bad: EXT: /,
    right: field("error", (e) => e | 1),
    source: "SDM vol. 3A 6.13: EXT is set when the event was not a software interrupt",
  },
  {
    image: "protected",
    told: /^#NP while #UD is delivered is no double fault: /,
    right: field("error", (e) => e | 1),
    source: "SDM vol. 3A 6.13: EXT is set when the event was not a software interrupt",
  },
  {
    image: "protected",
    told: /^stack not present: #0000000a /,
    right: (line) => line.replace("#0000000a", "#0000000c"),
    source: "SDM vol. 2A, INT n, INTER-PRIVILEGE-LEVEL-INTERRUPT: #SS(NewSS) if the new stack is not present",
  },
  {
    image: "protected",
    told: /^cs through the gate=00000080$/,
    right: "cs through the gate=00000083",
    source: "SDM vol. 2A, CALL, SAME-PRIVILEGE: CS(RPL) := CPL, for conforming code too",
  },
  {
    image: "protected",
    told: /^IRET beyond the limit: .*$/,
    right: "IRET beyond the limit: #0000000d error=00000000 ip=+00000020 cs=00000008 fl=00000002 sp=0027fff4",
    source: "SDM vol. 2A, IRET: #GP(0) if the instruction pointer is not within the limit",
  },
  {
    image: "protected",
    told: /^null TR: ok$/,
    right: `null TR: #0000000d error=00000000 ip=+00000002 ${plain("00000046")}`,
    source: "SDM vol. 2A, LTR: #GP(0) for a null selector",
  },
  {
    image: "protected",
    told: /^INT1 needs no privilege: .*$/,
    right:
      "INT1 needs no privilege: #00000001 dr6=ffff0ff0 ip=+00000001 cs=0000001b fl=00000002 ss=00000023 sp=002c0000 inner=00290000",
    source: "SDM vol. 2A, INT n: INT1 raises #DB, a trap, and no DPL is checked; this qemu has no INT1",
  },
  {
    image: "protected",
    told: /^alignment check: ok$/,
    right:
      "alignment check: #00000011 error=00000000 ip=+00000000 cs=0000001b fl=00040002 ss=00000023 sp=002c0000 inner=00290000",
    source: "SDM vol. 3A 6.15, interrupt 17; this qemu checks no alignment",
  },
  ...["paging32", "paging64"].map((image) => ({
    image,
    told: / error=0+[0-9a-f]?[89a-f]+ cr2=/,
    right: field("error", (e) => (e & 8 ? e | 1 : e)),
    source: "SDM vol. 3A 4.7: RSVD can be set only if P is also set",
  })),
  {
    image: "paging32",
    told: /^pointer entry changed in memory only: .*$/,
    right: "pointer entry changed in memory only: ok",
    source: "SDM vol. 3A 4.4.1: PDPTEs are loaded with CR3; qemu reads them at every walk",
  },
  {
    image: "long",
    told: /^null SS with RPL 3 in ring 0: ok$/,
    right:
      "null SS with RPL 3 in ring 0: #000000000000000d error=0000000000000000 ip=+0000000000000005 cs=0000000000000030 fl=0000000000000002 sp=0000000000280000 ss=0000000000000010 inner=0000000000280000 now=0000000000000010",
    source: "SDM vol. 2B, MOV: #GP(0) for a null SS whose RPL is not the CPL",
  },
  {
    image: "long",
    told: /^(vector beyond the table|gate for ring 0|not present|16-bit gate): /,
    right: field("error", (e) => ((e >> 4) << 3) | (e & 7)),
    source: "SDM vol. 3A 6.13, figure 6-7: the index is the vector in IA-32e mode too; qemu has twice that",
  },
  {
    image: "long",
    told: /^(from ring 0|an entry that is not aligned|#NP in the delivery of #PF|#PF in the delivery of #PF.*): .* now=0+$/,
    right: field("now", () => 0x10),
    source:
      "SDM vol. 2A, INT n, INTRA-PRIVILEGE-LEVEL-INTERRUPT: an IST stack changes RSP; SS only with the ring",
  },
  {
    image: "long",
    told: /^read by RBP: #000000000000000d /,
    right: (line) => line.replace("#000000000000000d", "#000000000000000c"),
    source: "SDM vol. 1 3.3.7.1: #SS for a non-canonical address that refers to the stack segment",
  },
  ...(
    [
      [
        "non-canonical FS base",
        longFault(0xa, 0x2),
        "SDM vol. 2B, WRMSR: #GP(0) for an address that is not canonical",
      ],
      ["LSTAR", longFault(0xc, 0x46), "SDM vol. 2B, WRMSR: #GP(0) for an address that is not canonical"],
      [
        "across the hole",
        longFault(0, 0x2),
        "SDM vol. 1 3.3.7.1: every byte of the operand must be canonical",
      ],
      ["jump", longFault(0, 0x2), NON_CANONICAL_TARGET],
      ["return", longFault(1, 0x2, 0x27fff8), NON_CANONICAL_TARGET],
      ["IRET", longFault(0xc, 0x2, 0x27ffd8), NON_CANONICAL_TARGET],
      ["SYSRETQ to a non-canonical address", longFault(0x10, 0x2), "SDM vol. 2B, SYSRET: #GP(0) in ring 0"],
      ["SYSEXIT to a non-canonical address", longFault(0xf, 0x2), "SDM vol. 2B, SYSEXIT: #GP(0) in ring 0"],
      [
        "non-canonical target",
        longFault(0, 0x2),
        "SDM vol. 2A, CALL and INT n: #GP(0) for the gate's offset",
      ],
      [
        "null SS to compatibility mode",
        longFault(0xd, 0x2, 0x27ffd8),
        "SDM vol. 2A, IRET: #GP(0), SS must not be null",
      ],
      ["unknown MSR", longFault(5, 0x46), "SDM vol. 2B, RDMSR: #GP(0) for a reserved or unimplemented MSR"],
    ] as const
  ).map(([name, right, source]) => ({
    image: "long",
    told: new RegExp(`^${name}: .*$`),
    right: `${name}: ${right}`,
    source,
  })),
  {
    image: "long",
    told: /^null DS counts again: ok$/,
    right: `null DS counts again: ${longFault(4, 0x46, 0x2c0000).replace("cs=0000000000000030", "cs=000000000000001b").replace("ss=0000000000000010", "ss=0000000000000023").replace("inner=00000000002c0000 now=0000000000000010", "inner=0000000000290000 now=0000000000000000")}`,
    source: "SDM vol. 3A 3.4.2: outside 64-bit mode an access through a null selector is #GP",
  },
  {
    image: "long",
    told: /^L and D both set: .*$/,
    right: `L and D both set: ${longFault(0x21, 0x2).replace("error=0000000000000000", "error=0000000000000080")}`,
    source: "SDM vol. 2A, JMP: #GP(selector) if L and D of the code segment are both set in IA-32e mode",
  },
  {
    image: "debug",
    told: /^both at once: /,
    right: field("dr6", (d) => (d | 3) >>> 0),
    source: "SDM vol. 3A 17.2.3: B0-B3 are set for every breakpoint whose condition was met",
  },
];

/** The line that a processor would tell, and the rule that made it so. */
export function corrected(
  image: string,
  line: string,
): { readonly line: string; readonly rule: Correction | undefined } {
  for (const rule of CORRECTIONS) {
    if (rule.image !== image || !rule.told.test(line)) continue;
    return {
      line: typeof rule.right === "string" ? line.replace(rule.told, rule.right) : rule.right(line),
      rule,
    };
  }
  return { line, rule: undefined };
}
