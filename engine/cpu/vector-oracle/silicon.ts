import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Bytes of memory a case has; rbx (and rdi) point into it. As in silicon.c. */
export const MEMORY_BYTES = 640;
export const FXSAVE_BYTES = 512;
/** General registers of a case, in this order; rdi is overwritten with rbx by the native side. */
export const CASE_REGISTERS = ["rax", "rcx", "rdx", "r8", "r9", "rdi", "rflags"] as const;

/** The state before one instruction. */
export interface VectorCase {
  readonly code: readonly number[];
  /** Where rbx points in `memory`. */
  readonly offset: number;
  readonly regs: readonly bigint[];
  readonly fx: Uint8Array;
  readonly memory: Uint8Array;
}

/** The state after it. */
export interface VectorOutcome {
  /** Exception vector, or -1. */
  readonly vector: number;
  readonly regs: readonly bigint[];
  readonly fx: Uint8Array;
  readonly memory: Uint8Array;
}

const IN_BYTES = 24 + 56 + FXSAVE_BYTES + MEMORY_BYTES;
const OUT_BYTES = 8 + 56 + FXSAVE_BYTES + MEMORY_BYTES;

/** The processor of this machine as an executor of cases; undefined without gcc or on another architecture. */
export class Silicon {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static build(): Silicon | undefined {
    if (process.arch !== "x64" || process.platform !== "linux") return undefined;
    const directory = mkdtempSync(join(tmpdir(), "vector-silicon-"));
    const source = join(dirname(fileURLToPath(import.meta.url)), "silicon.c");
    const gcc = spawnSync("gcc", ["-O1", "-Wall", "-o", join(directory, "silicon"), source]);
    if (gcc.error) {
      rmSync(directory, { recursive: true });
      return undefined;
    }
    if (gcc.status !== 0) throw new Error(`silicon.c does not compile:\n${gcc.stderr.toString()}`);
    return new Silicon(directory);
  }

  run(cases: readonly VectorCase[]): VectorOutcome[] {
    const input = Buffer.alloc(IN_BYTES * cases.length);
    cases.forEach((c, i) => {
      const at = i * IN_BYTES;
      input.set(c.code, at);
      input.writeUInt32LE(c.code.length, at + 16);
      input.writeUInt32LE(c.offset, at + 20);
      c.regs.forEach((value, r) => {
        input.writeBigUInt64LE(value, at + 24 + 8 * r);
      });
      input.set(c.fx, at + 80);
      input.set(c.memory, at + 80 + FXSAVE_BYTES);
    });
    const child = spawnSync(join(this.#directory, "silicon"), { input, maxBuffer: 1 << 30 });
    if (child.status !== 0 || child.stdout.length !== OUT_BYTES * cases.length) {
      throw new Error(
        `the native run ended with ${child.status ?? child.signal} after ${child.stdout.length / OUT_BYTES} cases`,
      );
    }
    const output = child.stdout;
    return cases.map((_, i) => {
      const at = i * OUT_BYTES;
      return {
        vector: Number(output.readBigInt64LE(at)),
        regs: CASE_REGISTERS.map((_, r) => output.readBigUInt64LE(at + 8 + 8 * r)),
        fx: output.subarray(at + 64, at + 64 + FXSAVE_BYTES),
        memory: output.subarray(at + 64 + FXSAVE_BYTES, at + OUT_BYTES),
      };
    });
  }

  dispose(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
