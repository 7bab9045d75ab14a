// npm run cpu: the core for people with their own flat binaries and suites. USAGE below is the whole interface.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Door } from "./door.ts";
import { DoorError, parseCase } from "./spec.ts";

const USAGE = `usage: npm run cpu -- FILE.bin [options]     runs one flat binary, prints one JSON document
       npm run cpu -- --many LIST.jsonl        runs one case a line, prints one JSON document a line

  --mode 64|32|16        64: 4-level paging; 32: protected mode without paging; 16: real mode; always
                         ring 0, flat segments, SSE enabled, x87 as after FNINIT; 64: FSGSBASE enabled, with v2 (64)
  --load ADDR            where the file goes and execution starts (0x10000; 0x7c00 in real mode)
  --map ADDR:SIZE        more memory, readable, writable and executable (any number of times; 1 GiB of it can be used)
  --poke ADDR=HEXBYTES   memory contents (any number of times)
  --set REG=VALUE        rax..r15, rip, rflags, xmm0..xmm15, mxcsr, st0..st7, fcw, fs_base, gs_base; with --mode 16
                         cs, ds, es, fs, gs, ss, too (any number of times)
  --cpu v1|v2            what the processor offers: x86-64-v1 or x86-64-v2 (v2)
  --max N                stop after N instructions (1000000)
  --dump ADDR:SIZE       memory to print at the end (any number of times)

A case ends at HLT, after N instructions, or at the first exception, which is reported and not delivered. INT n, INT3 and INTO are
reported with their vector, and rip behind them; in real mode, and where the case has loaded an IDT, they go through the table.

In modes 64 and 32 there is a GDT: 0x08 code of the mode, 0x10 data, 0x18 32-bit code, and for ring 3 0x23 32-bit code, 0x2b data,
0x33 64-bit code; and an LDT with ring 3's 32-bit code (0x0f) and data (0x17, 0x1f). There is no IDT.

A line of LIST.jsonl: {"name","code":"hex" or "file","mode":64,"load":"0x10000","map":[["0xe0000000","0x10000"]],
  "poke":[["0xe0000000","aabb"]],"set":{"rax":"0x1"},"cpu":"v2","max":1000000,"dump":[["0xe0000000","0x40"]]}
The answer: {"name","stop":"hlt|fault|limit","fault":{"vector","error","cr2"} or null,"instructions","regs","xmm","st","fcw",
  "fsw","ftw","mxcsr","dump"}; with mode 16 "regs" has cs, ds, es, fs, gs and ss, too. Or {"name","error":"why"} for a line that cannot be run.
Exit code: 0; 64 for wrong use or a case that cannot be run.`;

const EXIT_USAGE = 64;
const NEWLINE = 10;

function fail(message: string): never {
  console.error(message);
  process.exit(EXIT_USAGE);
}

function split(option: string, separator: string, text: string): [string, string] {
  const at = text.indexOf(separator);
  if (at < 0)
    throw new DoorError(
      `--${option}: expected ${separator === ":" ? "ADDR:SIZE" : "NAME=VALUE"}, not ${text}`,
    );
  return [text.slice(0, at), text.slice(at + 1)];
}

const readFile = (path: string): Uint8Array => {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    throw new DoorError(`cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
};

function parseLine(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new DoorError(`line ${number} is not JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/** One line after the other: all of a suite's list may be more than one string can hold. */
function* lines(bytes: Uint8Array): Generator<string> {
  const decoder = new TextDecoder();
  for (let from = 0; from < bytes.length; ) {
    const at = bytes.indexOf(NEWLINE, from);
    const to = at < 0 ? bytes.length : at;
    yield decoder.decode(bytes.subarray(from, to));
    from = to + 1;
  }
}

function many(path: string): number {
  const door = new Door();
  let status = 0;
  let number = 0;
  for (const line of lines(readFile(path))) {
    number++;
    if (line.trim() === "") continue;
    let name = "";
    try {
      const json = parseLine(line, number);
      if (typeof json === "object" && json !== null && "name" in json && typeof json.name === "string")
        name = json.name;
      console.log(JSON.stringify(door.run(parseCase(json, readFile))));
    } catch (error) {
      // Whatever one case does, the others are run.
      console.log(JSON.stringify({ name, error: error instanceof Error ? error.message : String(error) }));
      status = EXIT_USAGE;
    }
  }
  return status;
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      mode: { type: "string" },
      load: { type: "string" },
      map: { type: "string", multiple: true, default: [] },
      poke: { type: "string", multiple: true, default: [] },
      set: { type: "string", multiple: true, default: [] },
      cpu: { type: "string" },
      max: { type: "string" },
      dump: { type: "string", multiple: true, default: [] },
      many: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  if (values.many !== undefined) {
    if (positionals.length > 0) throw new DoorError("--many and FILE.bin exclude each other");
    const given = Object.entries(values).find(
      ([name, value]) => name !== "many" && !(Array.isArray(value) && value.length === 0),
    );
    if (given !== undefined)
      throw new DoorError(`--many and --${given[0]} exclude each other: each line says its own`);
    return many(values.many);
  }
  const [file, ...rest] = positionals;
  if (file === undefined || rest.length > 0) throw new DoorError("expected one FILE.bin");
  const json = {
    name: file,
    file,
    ...(values.mode === undefined ? {} : { mode: values.mode }),
    ...(values.load === undefined ? {} : { load: values.load }),
    map: values.map.map((m) => split("map", ":", m)),
    poke: values.poke.map((p) => split("poke", "=", p)),
    set: Object.fromEntries(values.set.map((s) => split("set", "=", s))),
    ...(values.cpu === undefined ? {} : { cpu: values.cpu }),
    ...(values.max === undefined ? {} : { max: values.max }),
    dump: values.dump.map((d) => split("dump", ":", d)),
  };
  console.log(JSON.stringify(new Door().run(parseCase(json, readFile))));
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  if (error instanceof DoorError) fail(`${error.message}\n\n${USAGE}`);
  // parseArgs throws TypeErrors with a code for unknown options.
  if (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"))
    fail(`${error.message}\n\n${USAGE}`);
  throw error;
}
