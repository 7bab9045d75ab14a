/** One line of a console as Linux's printk writes it (kernel/printk/printk.c, info_print_prefix). */
export interface PrintkLine {
  /** Without log level, time stamp and caller. */
  readonly text: string;
  /** Seconds since the kernel started; null if the line has no time stamp, as those of user space. */
  readonly time: number | null;
}

/** "<4>", "[   12.345678]", and with CONFIG_PRINTK_CALLER "[  T123]" or "[    C0]". */
const PREFIX = /^(?:<\d{1,3}>)?(?:\[ {0,8}(\d{1,10}\.\d{1,9})\] ?)?(?:\[ {0,8}[TC]\d{1,10}\] ?)?/;

/** Splits a decoded console line into time stamp and text. Linear in the line's length. */
export function parsePrintk(line: string): PrintkLine {
  const match = PREFIX.exec(line);
  const time = match?.[1];
  return { text: line.slice(match?.[0].length ?? 0), time: time === undefined ? null : Number(time) };
}
