// Writes the recorded vectors: cases whose outcomes this machine's processor gave, for machines without gcc.
// node engine/cpu/oracle/record.ts [--seed S] [--per-code N] [--runs N]

import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import iced from "iced-x86";
import { type Case, defaultState } from "./case.ts";
import { compare } from "./compare.ts";
import { Generator } from "./generator.ts";
import { groupOf } from "./offered.ts";
import { Processor } from "./processor.ts";
import { RECORDED_FILE, type RecordedHeader } from "./recorded.ts";
import { outcomeToSource, toSource } from "./source.ts";
import { FX, FX_ST, FX_XMM } from "./state.ts";

const { Decoder, DecoderOptions, InstructionInfoFactory, Register: R, RegisterExt } = iced;
const BATCH = 512;
/** Give up on codes that the generator does not hit by then. */
const MAX_CASES = 150_000;
/** Longer runs make the file large and say little more. */
const LONGEST_RUN = 24;

/** iced's Code of what is no instruction, and how many of those to record. */
const INVALID_CODE = 0;
const UNDEFINED_CASES = 150;

interface About {
  readonly code: number;
  readonly gprs: ReadonlySet<number>;
  readonly xmm: ReadonlySet<number>;
  readonly x87: boolean;
}

const factory = new InstructionInfoFactory();

/** Which registers the one instruction of a case has to do with, implicit ones included. */
function about(c: Case): About {
  const decoder = new Decoder(c.mode, c.patches[0]!.bytes, DecoderOptions.None);
  const instruction = decoder.decode();
  const gprs = new Set<number>();
  const xmm = new Set<number>();
  const group = groupOf(instruction);
  let x87 = group === "mmx" || group === "x87" || group === "fxsr";
  const info = factory.info(instruction);
  for (const used of info.usedRegisters()) {
    const register = used.register;
    const full = RegisterExt.fullRegister(register);
    if (full >= R.RAX && full <= R.R15) gprs.add(full - R.RAX);
    if (register >= R.XMM0 && register <= R.XMM15) xmm.add(register - R.XMM0);
    if (register >= R.MM0 && register <= R.MM7) x87 = true;
    used.free();
  }
  const result = { code: instruction.code, gprs, xmm, x87 };
  info.free();
  instruction.free();
  decoder.free();
  return result;
}

/** The same case with those registers at their defaults that the instruction does not use: for a small file. */
function pruned(c: Case, a: About): Case {
  const state = c.state.clone();
  const plain = defaultState(c.mode);
  for (let i = 0; i < 16; i++) {
    if (!a.gprs.has(i)) state.setGpr(i, plain.gpr(i));
    if (!a.xmm.has(i)) state.xmm(i).set(plain.xmm(i));
  }
  if (!a.x87) {
    state.bytes.set(plain.bytes.subarray(FX + FX_ST, FX + FX_XMM), FX + FX_ST);
    state.fcw = plain.fcw;
    state.fsw = plain.fsw;
    state.ftw = plain.ftw;
  }
  return { ...c, state };
}

function processorName(): string {
  const info = readFileSync("/proc/cpuinfo", "utf8");
  const field = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(info)?.[1] ?? "?";
  return `${field("vendor_id")} family ${field("cpu family")} model ${field("model")} stepping ${field("stepping")} (${field("model name")})`;
}

/** What one mode adds to the file. */
async function record(
  mode: 32 | 64,
  seed: number,
  perCode: number,
  maxRuns: number,
): Promise<{ readonly lines: readonly string[]; readonly codes: number; readonly all: number }> {
  const generator = new Generator({ mode, seed, only: [] });
  const processor = new Processor();
  const taken = new Map<number, number>();
  const lines: string[] = [];
  let runs = 0;
  for (let made = 0; made < MAX_CASES; made += BATCH) {
    const cases: Case[] = [];
    for (let i = 0; i < BATCH; i++) {
      const c = generator.next();
      const a = about(c);
      if (c.instructions > 1) {
        if (a.x87 || runs >= maxRuns || c.instructions > LONGEST_RUN) continue;
        runs++;
        cases.push(c);
        continue;
      }
      const n = taken.get(a.code) ?? 0;
      if (n >= (a.code === INVALID_CODE ? UNDEFINED_CASES : perCode)) continue;
      taken.set(a.code, n + 1);
      cases.push(pruned(c, a));
    }
    if (cases.length === 0) continue;
    const first = await processor.run(cases);
    const second = await processor.run(cases);
    for (const [i, c] of cases.entries()) {
      const outcome = outcomeToSource(c, first[i]!);
      if (outcome === undefined || compare(c, first[i]!, second[i]!).length > 0) continue;
      lines.push(JSON.stringify([toSource(c), outcome]));
    }
  }
  processor.close();
  return { lines, codes: taken.size, all: generator.codes };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "2009" },
      "per-code": { type: "string", default: "3" },
      runs: { type: "string", default: "300" },
    },
  });
  const seed = Number(values.seed);
  const lines: string[] = [];
  const codes = { 64: 0, 32: 0 };
  for (const mode of [64, 32] as const) {
    const recorded = await record(mode, seed, Number(values["per-code"]), Number(values.runs));
    lines.push(...recorded.lines);
    codes[mode] = recorded.codes;
    console.log(
      `${mode}-bit: ${recorded.lines.length} cases, ${recorded.codes} instruction codes of ${recorded.all}`,
    );
  }
  const header: RecordedHeader = { processor: processorName(), seed, codes, cases: lines.length };
  const text = `${[JSON.stringify(header), ...lines].join("\n")}\n`;
  writeFileSync(RECORDED_FILE, text);
  console.log(`${lines.length} cases, ${text.length} bytes`);
}

await main();
