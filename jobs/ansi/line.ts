import { PLAIN, type Style, sameStyle, withSgr } from "./style.ts";

/** Characters next to each other that look alike. */
export interface Span {
  readonly text: string;
  readonly style: Style;
}

export interface StyledLine {
  readonly spans: readonly Span[];
  /** In which the next line begins. */
  readonly style: Style;
}

/** A line has as many columns at most, whatever its sequences say. */
const COLUMNS = 4096;
const TAB = 8;
const ESCAPE = "\u001b";
/** Nothing to interpret: nearly every line. */
const SIMPLE = /^[\u0020-\u007e\u00a0-\u05ff]*$/;
/** CSI: parameters, intermediates, final (ECMA-48 5.4). */
const CSI = /\[([0-?]{0,64})([ -/]{0,8})([@-~])/y;
/** OSC, DCS, SOS, PM, APC: strings that end with ST or BEL. What they say (titles, links) is no text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: BEL and ESC are what ends such a string
const STRING = /[\]PX^_][^\u0007\u001b\u009c]*(?:\u0007|\u009c|\u001b\\|$)/y;
/** Other sequences: intermediates and a final (ECMA-35 13.2). */
const SHORT = /[ -/]{0,8}[0-~]/y;
/** What would turn the order of text around, and so make it seem to say something else. */
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const REPLACEMENT = "\ufffd";
const CONTROL_PICTURES = 0x2400;
const DELETE_PICTURE = "\u2421";

/** What is shown in place of a character that must not be in a page as it is. */
export function visibleCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCharCode(CONTROL_PICTURES + code);
  if (code === 0x7f) return DELETE_PICTURE;
  if ((code >= 0x80 && code < 0xa0) || (code >= 0xd800 && code < 0xe000) || BIDI.test(character))
    return REPLACEMENT;
  return character;
}

/** The cells of a line that sequences write to. */
class Row {
  readonly characters: string[] = [];
  readonly styles: Style[] = [];
  column = 0;

  move(column: number): void {
    this.column = Math.max(0, Math.min(COLUMNS, column));
  }

  put(character: string, style: Style): void {
    if (this.column >= COLUMNS) return;
    for (let at = this.characters.length; at < this.column; at++) this.set(at, " ", PLAIN);
    this.set(this.column, character, style);
    this.column++;
  }

  set(at: number, character: string, style: Style): void {
    this.characters[at] = character;
    this.styles[at] = style;
  }

  /** EL: 0 to the end, 1 from the beginning, 2 all. */
  erase(which: number): void {
    if (which === 0) this.cut(this.column);
    else if (which === 2) this.cut(0);
    else if (which === 1)
      for (let at = 0; at <= this.column && at < this.characters.length; at++) this.set(at, " ", PLAIN);
  }

  cut(length: number): void {
    if (this.characters.length <= length) return;
    this.characters.length = length;
    this.styles.length = length;
  }

  spans(): Span[] {
    const spans: { text: string; style: Style }[] = [];
    for (const [at, text] of this.characters.entries()) {
      const style = this.styles[at] ?? PLAIN;
      const last = spans.at(-1);
      if (last !== undefined && sameStyle(last.style, style)) last.text += text;
      else spans.push({ text, style });
    }
    return spans;
  }
}

/**
 * What a terminal would show of one line of output, without its line feed: colours and the like, carriage returns, backspaces,
 * tabs, movements within the line. Every other sequence is left out, links and titles included; control characters that are no
 * part of one are shown as pictures. An unfinished sequence ends with the line.
 */
export function styleLine(line: string, start: Style = PLAIN): StyledLine {
  if (SIMPLE.test(line)) return { spans: line === "" ? [] : [{ text: line, style: start }], style: start };
  const row = new Row();
  let style = start;
  for (let at = 0; at < line.length; ) {
    const character = String.fromCodePoint(line.codePointAt(at) ?? 0);
    at += character.length;
    if (character === ESCAPE) {
      const [next, sgr] = sequence(line, at, row);
      at = next;
      if (sgr !== undefined) style = withSgr(style, sgr);
    } else if (character === "\r") row.move(0);
    else if (character === "\b") row.move(row.column - 1);
    else if (character === "\t") row.move((Math.floor(row.column / TAB) + 1) * TAB);
    else if (character !== "\u0007") row.put(visibleCharacter(character), style);
  }
  return { spans: row.spans(), style };
}

/** The style in which the line behind `line` begins, without the work of showing it. */
export function styleAfter(line: string, start: Style): Style {
  let style = start;
  for (let at = line.indexOf(ESCAPE); at >= 0; at = line.indexOf(ESCAPE, at)) {
    const [next, sgr] = sequence(line, at + 1, undefined);
    at = next;
    if (sgr !== undefined) style = withSgr(style, sgr);
  }
  return style;
}

/**
 * Interprets what comes behind an ESC, on `row` if there is one; gives where the text goes on, and the parameters of an SGR.
 */
function sequence(line: string, at: number, row: Row | undefined): readonly [number, (string | undefined)?] {
  CSI.lastIndex = at;
  const csi = CSI.exec(line);
  if (csi !== null) {
    const [, parameters = "", intermediates, final] = csi;
    // "<", "=", ">" and "?" begin sequences of somebody's own.
    if (intermediates !== "" || /[<=>?]/.test(parameters)) return [CSI.lastIndex];
    if (final === "m") return [CSI.lastIndex, parameters];
    if (row === undefined) return [CSI.lastIndex];
    const count = Number(parameters.split(";")[0]) || 0;
    if (final === "K") row.erase(count);
    else if (final === "C") row.move(row.column + Math.max(1, count));
    else if (final === "D") row.move(row.column - Math.max(1, count));
    else if (final === "G") row.move(Math.max(1, count) - 1);
    return [CSI.lastIndex];
  }
  // One that breaks off is not text either, as far as it goes.
  if (line[at] === "[")
    return [at + (/^\[[0-?]{0,64}[ -/]{0,8}/.exec(line.slice(at, at + 80))?.[0].length ?? 1)];
  STRING.lastIndex = at;
  if (STRING.test(line)) return [STRING.lastIndex];
  SHORT.lastIndex = at;
  if (SHORT.test(line)) return [SHORT.lastIndex, line[at] === "c" ? "0" : undefined];
  return [at];
}
