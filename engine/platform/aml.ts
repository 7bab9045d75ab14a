/* The little of AML (ACPI specification 6.2, chapter 20.2) and of its resource descriptors (6.4) that the tables here need. */

/** PkgLength (20.2.4) of a package with this contents: the length counts itself. */
function packageLength(contents: number): number[] {
  if (contents + 1 < 0x40) return [contents + 1];
  const length = contents + 2;
  if (length >= 0x1000) throw new RangeError(`an AML package of ${length} bytes`);
  return [0x40 | (length & 0xf), length >> 4];
}

/** A path such as "\\_SB_" or "PCI0", of one segment. */
function name(path: string): number[] {
  return [...path].map((character) => character.charCodeAt(0));
}

export const byte = (value: number): number[] => [0x0a, value & 0xff];
export const word = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];
export const dword = (value: number): number[] => [...word(value), ...word(value >>> 16)];

/** Scope (path) { terms } */
export function scope(path: string, terms: readonly number[]): number[] {
  const body = [...name(path), ...terms];
  return [0x10, ...packageLength(body.length), ...body];
}

/** Device (path) { terms } */
export function device(path: string, terms: readonly number[]): number[] {
  const body = [...name(path), ...terms];
  return [0x5b, 0x82, ...packageLength(body.length), ...body];
}

/** Name (path, value) */
export function named(path: string, value: readonly number[]): number[] {
  return [0x08, ...name(path), ...value];
}

/** Package () { elements } */
export function packageOf(elements: readonly (readonly number[])[]): number[] {
  const body = [elements.length, ...elements.flat()];
  return [0x12, ...packageLength(body.length), ...body];
}

/** EISAID ("PNP0A03"): three letters of five bits, then four hexadecimal digits. */
export function eisaId(id: string): number[] {
  const letters = [0, 1, 2].reduce((bits, i) => (bits << 5) | (id.charCodeAt(i) - 0x40), 0);
  const digits = Number.parseInt(id.slice(3), 16);
  return [0x0c, letters >> 8, letters & 0xff, digits >> 8, digits & 0xff];
}

/** ResourceTemplate () { descriptors } */
export function resources(descriptors: readonly number[]): number[] {
  const bytes = [...descriptors, 0x79, 0];
  const body = [...byte(bytes.length), ...bytes];
  return [0x11, ...packageLength(body.length), ...body];
}

/** IO (Decode16, address, address, 1, length): 6.4.2.5. */
export function io(address: number, length: number): number[] {
  return [0x47, 1, ...word(address), ...word(address), 1, length];
}

/** IRQNoFlags () { irq }: 6.4.2.1. */
export function irq(number: number): number[] {
  return [0x22, ...word(1 << number)];
}

const FIXED = 0x0c;

/** WordBusNumber, from first to last: 6.4.3.5.3. */
export function busNumbers(first: number, last: number): number[] {
  const range = [...word(0), ...word(first), ...word(last), ...word(0), ...word(last - first + 1)];
  return [0x88, ...word(range.length + 3), 2, FIXED, 0, ...range];
}

/** WordIO, from first to last, ISA and others. */
export function ioRange(first: number, last: number): number[] {
  const range = [...word(0), ...word(first), ...word(last), ...word(0), ...word(last - first + 1)];
  return [0x88, ...word(range.length + 3), 1, FIXED, 3, ...range];
}

/** DWordMemory, read and write, not cacheable: 6.4.3.5.2. */
export function memoryRange(first: number, bytes: number): number[] {
  const range = [...dword(0), ...dword(first), ...dword(first + bytes - 1), ...dword(0), ...dword(bytes)];
  return [0x87, ...word(range.length + 3), 0, FIXED, 1, ...range];
}
