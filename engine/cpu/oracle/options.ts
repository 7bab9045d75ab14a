// Options of the oracle's commands.

import { type ParseArgsOptionsConfig, parseArgs } from "node:util";

/** Tells of wrong use, and ends the command. */
export type Usage = (message: string) => never;

/** The values of the command line's options; one that there is not is wrong use. */
export function optionValues<O extends ParseArgsOptionsConfig>(options: O, usage: Usage) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

/** A whole number from 0 on. */
export function wholeNumber(text: string, name: string, usage: Usage): number {
  const n = Number(text);
  if (text === "" || !Number.isSafeInteger(n) || n < 0)
    usage(`--${name} must be a whole number, not "${text}"`);
  return n;
}
