import { LINE_BYTES } from "./limits.ts";

/** Escape sequences (ECMA-48 CSI and the short ones), which GRUB draws its prompt with, are no text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC is what an escape sequence begins with
const ESCAPES = /\u001b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|[()][0-9A-B]|[=>78cDEHM])/g;
const DECODER = new TextDecoder();

/** One character a byte. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** Nearly all lines are of this kind, and are what they say. */
const PLAIN = /^[\t\u0020-\u007e]*$/;

/** What a raw console line says: UTF-8 decoded, without escape sequences and carriage returns. */
export function textOf(line: string): string {
  if (PLAIN.test(line)) return line;
  if (line.endsWith("\r") && PLAIN.test(line.slice(0, -1))) return line.slice(0, -1);
  const bytes = Uint8Array.from(line, (character) => character.charCodeAt(0));
  return DECODER.decode(bytes).replace(ESCAPES, "").replaceAll("\r", "");
}

/**
 * Cuts console output into raw lines, one character a byte (Latin-1). A line ends at a line feed or after LINE_BYTES bytes;
 * an unfinished one, such as a prompt, counts as a line once nothing was printed between two checks.
 */
export class Lines {
  #unfinished: string;
  #printed = false;

  constructor(unfinished = "") {
    this.#unfinished = unfinished;
  }

  /** The line that has not ended yet. */
  get unfinished(): string {
    return this.#unfinished;
  }

  /** Takes output; the lines that ended with it. */
  take(bytes: Uint8Array): string[] {
    if (bytes.length === 0) return [];
    this.#printed = true;
    const lines = (this.#unfinished + latin1(bytes)).split("\n");
    let last = lines.pop() ?? "";
    const cut = lines.flatMap((line) => {
      const pieces: string[] = [];
      for (let at = 0; at === 0 || at < line.length; at += LINE_BYTES)
        pieces.push(line.slice(at, at + LINE_BYTES));
      return pieces;
    });
    while (last.length > LINE_BYTES) {
      cut.push(last.slice(0, LINE_BYTES));
      last = last.slice(LINE_BYTES);
    }
    this.#unfinished = last;
    return cut;
  }

  /** A check: whether anything was printed since the last one. */
  check(): boolean {
    const printed = this.#printed;
    this.#printed = false;
    return printed;
  }

  /** What comes next is a new line, whatever the guest thinks. */
  clear(): void {
    this.#unfinished = "";
  }
}
