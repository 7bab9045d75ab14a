import { TITLE_CHARACTERS } from "./limits.ts";

/** "fail_init+0x34/0x1000 [fail]": a symbol with offset, size and module, as %pS prints it (lib/vsprintf.c). */
const SYMBOL = /(?<![\w.$])([A-Za-z_.$][\w.$]{0,200})\+0x[0-9a-f]{1,16}\/0x[0-9a-f]{1,16}/g;
/** What compilers append to clones and cold parts of a function. */
const CLONE = /\.(?:constprop|isra|part|cold|lto_priv|llvm)(?:\.\d{1,20})?(?![\w])/g;

/**
 * A message without what differs between equal failures: addresses become X; numbers, process ids and processors N; offsets
 * into functions and suffixes that compilers add go away.
 */
export function normalise(message: string): string {
  return (
    message
      .slice(0, 2 * TITLE_CHARACTERS)
      .replace(SYMBOL, "$1")
      .replace(CLONE, "")
      .replace(/\b0x[0-9a-f]+\b/gi, "X")
      .replace(/(?<!\w)(?=[0-9a-f]*\d)[0-9a-f]{8,}(?!\w)/gi, "X")
      // Page frame numbers and the like, which have no 0x.
      .replace(/(?<!\w)(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{5,7}(?!\w)/gi, "X")
      .replace(/(?<![A-Za-z_0-9])\d+(?:\.\d+)?/g, "N")
      .replace(/\s+/g, " ")
      .trim()
      .slice(0, TITLE_CHARACTERS)
  );
}

/** The function of a stack frame or a RIP line, with its module: "fail_init [fail]"; undefined if there is none. */
export function functionOf(text: string): string | undefined {
  const match =
    /(?<![\w.$])([A-Za-z_.$][\w.$]{0,200})\+0x[0-9a-f]{1,16}\/0x[0-9a-f]{1,16}(?: \[([\w-]{1,64})\])?/.exec(
      text,
    );
  if (match?.[1] === undefined) return undefined;
  const name = match[1].replace(CLONE, "");
  return match[2] === undefined ? name : `${name} [${match[2]}]`;
}
