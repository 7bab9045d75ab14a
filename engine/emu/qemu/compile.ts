/** emu with qemu's devices in place of xenner's ports, and the stub that starts it. */

import { execFileSync } from "node:child_process";
import { EMU64 } from "../builds.ts";
import { compile } from "../toolchain.ts";

const directory = import.meta.dirname;

export function compileEmu(output: string): void {
  const sources = EMU64.sources.filter((name) => name !== "ports.c");
  compile({ ...EMU64, sources: [...sources, "qemu/shim.c"] }, output);
}

/** A flat binary, linked for `address`. */
export function compileStub(output: string, address: number): void {
  const link = ["-Wl,--oformat,binary", "-Wl,--build-id=none", `-Wl,-Ttext=0x${address.toString(16)}`];
  execFileSync("gcc", ["-nostdlib", "-static", "-no-pie", ...link, "-o", output, "stub.S"], {
    cwd: directory,
    stdio: "inherit",
  });
}
