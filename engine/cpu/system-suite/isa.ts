/**
 * Writes docs/isa.md, the table of instructions: `node engine/cpu/system-suite/isa.ts [--check]`.
 *
 * The rows come from the reference decoder's opcode tables and the list of what the core offers (oracle/offered.ts); the
 * tests that cover a row are found by decoding the recorded vectors and by running the images of this suite one
 * instruction at a time. With --check nothing is written. Exit status: 0 done or equal, 1 different.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import iced from "iced-x86";
import { isComparable, isOffered, isV1 } from "../oracle/offered.ts";
import { RECORDED_FILE } from "../oracle/recorded.ts";
import type { CaseSource } from "../oracle/source.ts";
import { traceOnCore } from "./run.ts";
import { imageNames } from "./suite.ts";

const { Code, CodeExt, CpuidFeature, Decoder, DecoderOptions, EncodingKind, Instruction } = iced;
type IcedCode = iced.Code;

const OUTPUT = join(import.meta.dirname, "../../../docs/isa.md");
const MODES = [16, 32, 64] as const;
const MAX_INSTRUCTION_BYTES = 15;

/** Features of the later issue of x86-64-v3 and of the crypto extensions; everything else not offered is for good. */
const LATER =
  /^(AVX|AVX2|BMI1|BMI2|F16C|FMA|XSAVE\w*|LZCNT|AES|VAES|PCLMULQDQ|VPCLMULQDQ|SHA|SHA512|GFNI|ADX)$/;
const VIRTUALISATION = /^(VMX|SVM|INVEPT|INVVPID|SMX|SKINIT|SEV|SNP|TDX|HLE|RTM)/;
const OTHER_MAKERS = /^(CYRIX|GEODE|PADLOCK|D3NOW|CENTAUR|AMD|XOP|FMA4|TBM|LWP|SSE4A|MVEX|KNC|UDBG|CL1INVMB)/;

function reasonOf(features: readonly string[]): string {
  if (features.some((f) => /^AVX512|^AVX10|^AMX|^APX|^PREFETCHWT1$/.test(f))) return "beyond x86-64-v3";
  if (features.some((f) => OTHER_MAKERS.test(f))) return "of other makers' or withdrawn processors";
  if (features.some((f) => VIRTUALISATION.test(f)))
    return "virtualisation and transactions: the core has none";
  if (features.some((f) => LATER.test(f))) return "x86-64-v3 and crypto: later";
  return "not in x86-64-v2, and CPUID does not offer it";
}

/** Instruction codes that an image executes. */
function codesOfImage(name: string): Set<IcedCode> {
  const codes = new Set<IcedCode>();
  const seen = new Set<string>();
  for (const { bytes, mode } of traceOnCore(name, MAX_INSTRUCTION_BYTES)) {
    const key = `${mode}${Buffer.from(bytes).toString("latin1")}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const decoder = new Decoder(mode, bytes, DecoderOptions.None);
    const instruction = decoder.decode();
    codes.add(instruction.code);
    instruction.free();
    decoder.free();
  }
  return codes;
}

/** How many recorded vectors hold each code. */
function recordedCodes(): Map<IcedCode, number> {
  const counts = new Map<IcedCode, number>();
  const [, ...lines] = readFileSync(RECORDED_FILE, "utf8").trimEnd().split("\n");
  for (const line of lines) {
    const [source] = JSON.parse(line) as [CaseSource];
    const decoder = new Decoder(source.mode ?? 64, Buffer.from(source.code, "hex"), DecoderOptions.None);
    const codes = new Set<IcedCode>();
    while (decoder.canDecode) {
      const instruction = decoder.decode();
      codes.add(instruction.code);
      instruction.free();
    }
    decoder.free();
    for (const code of codes) counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return counts;
}

interface Row {
  readonly opcode: string;
  readonly instruction: string;
  readonly modes: string;
  readonly level: string;
  readonly tests: string;
}

function build(): string {
  const recorded = recordedCodes();
  const images = imageNames().map((name) => ({ name, codes: codesOfImage(name) }));
  const rows: Row[] = [];
  const refused = new Map<string, { reason: string; opcodes: string[] }>();
  const codes = Object.values(Code).filter((c): c is IcedCode => typeof c === "number");
  for (const code of codes) {
    const op = CodeExt.opCode(code);
    if (!op.isInstruction || code === Code.INVALID) {
      op.free();
      continue;
    }
    const instruction = new Instruction();
    instruction.code = code;
    const features = [...instruction.cpuidFeatures()].map((f) => CpuidFeature[f] ?? String(f));
    if (op.encoding === EncodingKind.Legacy && isOffered(instruction)) {
      const tests: string[] = [];
      const vectors = recorded.get(code) ?? 0;
      if (vectors > 0) tests.push(`vectors: ${vectors}`);
      if (isComparable(instruction)) tests.push("generator");
      for (const { name, codes: executed } of images) if (executed.has(code)) tests.push(name);
      rows.push({
        opcode: op.opCodeString,
        instruction: op.instructionString,
        modes: MODES.filter((m) => op.isAvailableInMode(m)).join(" "),
        level: isV1(instruction) ? "v1" : "v2",
        tests: tests.length > 0 ? tests.join(", ") : "**none**",
      });
    } else {
      const key = features.join(" + ");
      const group = refused.get(key) ?? { reason: reasonOf(features), opcodes: [] };
      group.opcodes.push(`${op.instructionString} (${op.opCodeString})`);
      refused.set(key, group);
    }
    instruction.free();
    op.free();
  }
  const untested = rows.filter((r) => r.tests === "**none**").length;
  const cell = (s: string) => s.replaceAll("|", "\\|");
  const lines = [
    "# Instructions",
    "",
    "Generated by `node engine/cpu/system-suite/isa.ts`; `--check` compares.",
    "",
    "Opcodes and modes are those of the reference decoder (iced-x86), in the notation of the Intel manual. Tests:",
    "",
    "- *vectors: n*: cases recorded from silicon, run by `npm test` (`engine/cpu/oracle/recorded.jsonl`);",
    "- *generator*: `npm run fuzz:cpu` makes cases of it and compares them with the processor it runs on;",
    "- a name: the image of the system-mode suite that executes it (`engine/cpu/system-suite/source`), compared with",
    "  qemu or, where the name begins with `sdm-`, with the manual.",
    "",
    `${rows.length} opcodes are offered, ${untested} of them without a test.`,
    "",
    "| Opcode | Instruction | Modes | Level | Tests |",
    "|---|---|---|---|---|",
    ...rows.map(
      (r) => `| ${cell(r.opcode)} | ${cell(r.instruction)} | ${r.modes} | ${r.level} | ${r.tests} |`,
    ),
    "",
    "## Not offered",
    "",
    "These are #UD. They are grouped by the CPUID features they need.",
    "",
  ];
  for (const [features, group] of [...refused].sort(([a], [b]) => (a < b ? -1 : 1))) {
    lines.push(`- **${features}** (${group.reason}): ${group.opcodes.map((o) => `\`${o}\``).join(", ")}`);
  }
  return `${lines.join("\n")}\n`;
}

function main(check: boolean): number {
  const text = build();
  if (!check) {
    writeFileSync(OUTPUT, text);
    return 0;
  }
  if (readFileSync(OUTPUT, "utf8") === text) return 0;
  process.stdout.write("docs/isa.md is not what the tables and tests give\n");
  return 1;
}

if (process.argv[1] === import.meta.filename) process.exitCode = main(process.argv.includes("--check"));
