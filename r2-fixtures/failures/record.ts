/**
 * Records what kernels say when they fail: node r2-fixtures/failures/record.ts FOLDER [--tests TESTS] [--checkers SOURCE] [NAME...]
 *
 * Boots Debian's cloud kernel in our own guest, makes it fail in each way of failures.ts, and writes the consoles to
 * FOLDER/NAME.txt (jobs/console/recorded/ holds those the tests read). Needs the headers of that kernel
 * (linux-headers-*-cloud-amd64), make and gcc; takes some minutes. With TESTS,
 * a folder that build-tests.sh filled, it also records the kernel's own tests; with SOURCE, where build-checkers.sh built a
 * kernel, what that one's checkers say.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { create, restore } from "../../engine/machine.ts";
import type { EngineParts, MachineApi } from "../../engine/machine-api.ts";
import { MapPageStore, type PageStore } from "../../engine/memory/page-store.ts";
import { FixtureCache } from "../cache.ts";
import { type CpioEntry, writeCpio } from "../cpio.ts";
import { packagedFile } from "../debian.ts";
import { prepareFixture } from "../index.ts";
import { BUSYBOX } from "../manifest.ts";
import {
  CHECKERS_CMDLINE,
  CHECKERS_MEMORY_MIB,
  COMMON_CMDLINE,
  COMMON_MEMORY_MIB,
  FAILURES,
  type Failure,
} from "./failures.ts";

const APPLETS =
  "basename cat cut dirname echo grep head insmod ln mount poweroff sed sh sleep tail tr wc".split(" ");
const SLICE = 1_000_000;
/** Guest time after which a recording ends whatever the guest does. */
const MOST_SECONDS = 400;
/** What a panicked guest may still say. */
const AFTER_PANIC = 50_000_000;

const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
const ENGINE = join(import.meta.dirname, "..", "..", "engine");
const read = (path: string) => new Uint8Array(readFileSync(path));

/** Pages written go here, others are read from below. */
class Above implements PageStore {
  readonly #below: PageStore;
  readonly #own = new MapPageStore();

  constructor(below: PageStore) {
    this.#below = below;
  }

  read(gfn: number, into: Uint8Array): boolean {
    return this.#own.read(gfn, into) || this.#below.read(gfn, into);
  }

  write(gfn: number, page: Uint8Array): void {
    this.#own.write(gfn, page);
  }
}

/** A guest with a console that is kept. */
class Session {
  readonly machine: MachineApi;
  text: string;
  ended = false;

  constructor(machine: MachineApi, text = "") {
    this.machine = machine;
    this.text = text;
  }

  /** Runs until `enough`, the guest's end, a panic, or MOST_SECONDS. */
  run(enough: (text: string) => boolean): void {
    let panickedAt: number | undefined;
    while (!this.ended && !enough(this.text)) {
      const end = this.machine.run(SLICE);
      this.text += new TextDecoder("latin1").decode(this.machine.takeConsole());
      if (this.text.includes("---[ end Kernel panic")) panickedAt ??= this.machine.instructions;
      const panicOver = panickedAt !== undefined && this.machine.instructions - panickedAt > AFTER_PANIC;
      this.ended =
        end.kind !== "budget" || panicOver || this.machine.guestNanoseconds > MOST_SECONDS * 1_000_000_000;
    }
  }

  type(lines: readonly string[]): void {
    for (const line of lines) {
      if (this.ended) return;
      const before = this.text.length;
      this.machine.input(new TextEncoder().encode(`${line}\n`));
      this.run((text) => text.indexOf("\nDONE", before) >= 0);
    }
  }
}

/** @param tree where the kernel was built, or its headers are */
function buildModule(tree: string): Uint8Array {
  // UBSAN says where the module was built: the same place each time.
  const folder = join(tmpdir(), "fail-module");
  mkdirSync(folder);
  try {
    copyFileSync(join(import.meta.dirname, "fail.c"), join(folder, "fail.c"));
    writeFileSync(join(folder, "Makefile"), "obj-m := fail.o\nccflags-y := -fmacro-prefix-map=$(src)/=\n");
    execFileSync("make", ["-s", "-C", tree, `M=${folder}`, "modules"], {
      stdio: ["ignore", "inherit", "ignore"],
    });
    execFileSync("strip", ["--strip-debug", join(folder, "fail.ko")]);
    return read(join(folder, "fail.ko"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A folder's files and folders as entries below `name`. */
function tree(path: string, name: string): CpioEntry[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry): CpioEntry[] => {
    const inner = join(path, entry.name);
    const at = `${name}/${entry.name}`;
    return entry.isDirectory()
      ? [{ kind: "directory", name: at, mode: 0o755 }, ...tree(inner, at)]
      : [{ kind: "file", name: at, mode: 0o755, data: read(inner) }];
  });
}

function initramfs(init: Uint8Array, busybox: Uint8Array, module: Uint8Array, tests?: string): Uint8Array {
  return writeCpio([
    ...["bin", "dev", "proc", "sys"].map((name) => ({ kind: "directory", name, mode: 0o755 }) as const),
    { kind: "character-device", name: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", name: "bin/busybox", mode: 0o755, data: busybox },
    ...APPLETS.map((name) => ({ kind: "symlink", name: `bin/${name}`, target: "busybox" }) as const),
    { kind: "file", name: "fail.ko", mode: 0o644, data: module },
    { kind: "file", name: "init", mode: 0o755, data: init },
    ...(tests === undefined
      ? []
      : [
          { kind: "directory", name: "ks", mode: 0o755 } as const,
          ...tree(join(tests, "ks"), "ks"),
          {
            kind: "file",
            name: "kunit.ko",
            mode: 0o644,
            data: read(join(tests, "kunit", "kunit.ko")),
          } as const,
        ]),
  ]);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { tests: { type: "string" }, checkers: { type: "string" } },
});
const { tests, checkers } = values;
const [folder, ...wanted] = positionals;
if (folder === undefined) {
  console.error("usage: record.ts FOLDER [--tests TESTS] [--checkers SOURCE] [NAME...]");
  process.exit(64);
}
const log = (line: string): void => console.error(line);
const fixture = await prepareFixture("debian-cloud", { log });
const cache = new FixtureCache(join(import.meta.dirname, "..", "cache"));
const { lock } = await packagedFile(
  "debian-cloud",
  { package: "linux-image-cloud-amd64", path: /^$/ },
  cache,
  log,
  false,
);
const { file: busybox } = await packagedFile("debian-cloud", BUSYBOX, cache, log, false);
const init = read(join(import.meta.dirname, "init"));
const parts: EngineParts = {
  core: new NodeModule(read(join(ENGINE, "cpu", "core.wasm"))),
  emu64: read(join(ENGINE, "emu", "emu64.elf")),
};

/** What fails, and how it is booted; the boot that several recordings begin with is done once. */
class Subject {
  readonly #kernel: Uint8Array;
  readonly #mode: "pv" | "hvm";
  readonly #cmdline: string;
  readonly #memoryMiB: number;
  readonly #initrds: Readonly<Record<"good" | "bad-init" | "tests", Uint8Array>>;
  #common: { readonly state: Uint8Array; readonly store: PageStore; readonly text: string } | undefined;

  constructor(kernel: string, tree: string, mode: "pv" | "hvm", cmdline: string, memoryMiB: number) {
    this.#kernel = read(kernel);
    this.#mode = mode;
    this.#cmdline = cmdline;
    this.#memoryMiB = memoryMiB;
    const module = buildModule(tree);
    this.#initrds = {
      good: initramfs(init, read(busybox.path), module),
      tests: initramfs(init, read(busybox.path), module, tests),
      // No /bin/sh either, which Linux tries last.
      "bad-init": writeCpio([
        { kind: "directory", name: "dev", mode: 0o755 },
        { kind: "character-device", name: "dev/console", mode: 0o600, major: 5, minor: 1 },
        { kind: "file", name: "init", mode: 0o755, data: new Uint8Array(64) },
      ]),
    };
  }

  async #boot({ cmdline, memoryMiB, initrd }: NonNullable<Failure["boot"]>, store: PageStore) {
    const machine = await create(
      parts,
      {
        kernel: this.#kernel,
        ...(initrd !== "none" && { initrd: this.#initrds[initrd ?? "good"] }),
        mode: this.#mode,
        cmdline: cmdline ?? this.#cmdline,
        memoryMiB: memoryMiB ?? this.#memoryMiB,
        seed: 1n,
        startTime: 1_767_225_600,
      },
      store,
    );
    const session = new Session(machine);
    session.run((text) => text.includes("\nREADY"));
    return session;
  }

  async start(failure: Failure): Promise<Session> {
    if (failure.boot !== undefined) return this.#boot(failure.boot, new MapPageStore());
    if (this.#common === undefined) {
      const store = new MapPageStore();
      const { machine, text } = await this.#boot({}, store);
      this.#common = { state: machine.checkpoint().state, store, text };
    }
    return new Session(restore(parts, this.#common.state, new Above(this.#common.store)), this.#common.text);
  }
}

const release = basename(lock.member).replace(/^vmlinuz-/, "");
const isWanted = ({ name, checkers: needed, boot }: Failure): boolean =>
  (wanted.length === 0 || wanted.includes(name)) &&
  (needed === undefined || checkers !== undefined) &&
  (boot?.initrd !== "tests" || tests !== undefined);
let debian: Subject | undefined;
let checking: Subject | undefined;

function subjectOf(failure: Failure): Subject {
  if (failure.checkers === undefined || checkers === undefined) {
    debian ??= new Subject(
      fixture.kernelPath,
      `/usr/src/linux-headers-${release}`,
      "pv",
      COMMON_CMDLINE,
      COMMON_MEMORY_MIB,
    );
    return debian;
  }
  checking ??= new Subject(
    join(checkers, "arch/x86/boot/bzImage"),
    checkers,
    // KASAN has no shadow yet where a PVH kernel begins.
    "hvm",
    CHECKERS_CMDLINE,
    CHECKERS_MEMORY_MIB,
  );
  return checking;
}

for (const failure of FAILURES.filter(isWanted)) {
  const session = await subjectOf(failure).start(failure);
  session.type(failure.type ?? []);
  writeFileSync(join(folder, `${failure.name}.txt`), session.text, "latin1");
  log(`${failure.name}: ${session.text.length} bytes, ${session.machine.instructions} instructions`);
}
