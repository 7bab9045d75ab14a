import { Lines } from "../lines.ts";
import { type Span, styleAfter, styleLine } from "./line.ts";
import { PLAIN, type Style } from "./style.ts";

/** A line of a console as it is shown. */
export interface ConsoleLine {
  /** Counted from 1, as everywhere: a line ends at a line feed or after LINE_BYTES bytes. */
  readonly number: number;
  readonly spans: readonly Span[];
  /** Whether its end was seen. */
  readonly complete: boolean;
}

/** Where in a console to go on: at the beginning of a line. */
export interface ConsolePosition {
  /** Of the line. */
  readonly number: number;
  /** Bytes of the console before it. */
  readonly offset: number;
  /** In which it begins. */
  readonly style: Style;
}

export const CONSOLE_START: ConsolePosition = { number: 1, offset: 0, style: PLAIN };

const DECODER = new TextDecoder();
const ASCII = /^[\0-\u007f]*$/;

/** Lines are one character a byte; what is no UTF-8 becomes U+FFFD. */
function decode(line: string): string {
  if (ASCII.test(line)) return line;
  return DECODER.decode(Uint8Array.from(line, (character) => character.charCodeAt(0)));
}

/** What a line says, without colours. */
export const textOfSpans = (spans: readonly Span[]): string => spans.map(({ text }) => text).join("");

/** Cuts console output into lines to be shown, however the bytes come. */
export class ConsoleReader {
  readonly #lines = new Lines();
  #number: number;
  #bytes: number;
  #style: Style;

  constructor(position: ConsolePosition = CONSOLE_START) {
    this.#number = position.number;
    this.#bytes = position.offset;
    this.#style = position.style;
  }

  /** Bytes read, from the beginning of the console. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Where the unfinished line begins. */
  get position(): ConsolePosition {
    const offset = this.#bytes - this.#lines.unfinished.length;
    return { number: this.#number, offset, style: this.#style };
  }

  /** The lines that ended in `bytes`. */
  read(bytes: Uint8Array): ConsoleLine[] {
    return this.#take(bytes).map((line) => this.#line(line));
  }

  /** As `read`, for lines that nobody looks at; it is a great deal faster. */
  skip(bytes: Uint8Array): number {
    const lines = this.#take(bytes);
    for (const line of lines) this.#pass(line);
    return lines.length;
  }

  /** The line that has not ended yet, if there is anything of it. */
  unfinished(): ConsoleLine | undefined {
    const line = this.#lines.unfinished;
    if (line === "") return undefined;
    return { number: this.#number, spans: styleLine(decode(line), this.#style).spans, complete: false };
  }

  #take(bytes: Uint8Array): string[] {
    const lines = this.#lines.take(bytes);
    this.#bytes += bytes.length;
    return lines;
  }

  #line(line: string): ConsoleLine {
    const { spans, style } = styleLine(decode(line), this.#style);
    this.#style = style;
    return { number: this.#number++, spans, complete: true };
  }

  #pass(line: string): void {
    this.#style = styleAfter(line, this.#style);
    this.#number++;
  }
}
