/**
 * How a piece of console text looks. Colours are indexes of the 256-colour palette that terminals share (0 to 15 by name, a cube
 * of 6 x 6 x 6, 24 greys); null is the terminal's own.
 */
export interface Style {
  readonly foreground: number | null;
  readonly background: number | null;
  /** Sum of FLAGS. */
  readonly flags: number;
}

export const FLAGS = { bold: 1, dim: 2, italic: 4, underline: 8, inverse: 16, strike: 32 } as const;

export const PLAIN: Style = { foreground: null, background: null, flags: 0 };

/** SGR parameters that set a flag, and those that clear some (ECMA-48 8.3.117). Blinking and hiding are not done. */
const SETS: Readonly<Record<number, number>> = {
  1: FLAGS.bold,
  2: FLAGS.dim,
  3: FLAGS.italic,
  4: FLAGS.underline,
  7: FLAGS.inverse,
  9: FLAGS.strike,
};
const CLEARS: Readonly<Record<number, number>> = {
  22: FLAGS.bold | FLAGS.dim,
  23: FLAGS.italic,
  24: FLAGS.underline,
  27: FLAGS.inverse,
  29: FLAGS.strike,
};
/** Levels of a channel of the colour cube. */
const LEVELS = [0, 95, 135, 175, 215, 255] as const;
const CUBE = 16;
const GREYS = 232;

export const sameStyle = (a: Style, b: Style): boolean =>
  a.foreground === b.foreground && a.background === b.background && a.flags === b.flags;

/** For an attribute, and back. */
export const encodeStyle = ({ foreground, background, flags }: Style): string =>
  [foreground ?? "", background ?? "", flags].join(",");

export function decodeStyle(text: string): Style {
  const [foreground = "", background = "", flags = ""] = text.split(",");
  const colour = (digits: string): number | null => (/^\d{1,3}$/.test(digits) ? Number(digits) & 255 : null);
  return { foreground: colour(foreground), background: colour(background), flags: Number(flags) & 63 };
}

/** The palette's colour nearest to one of 24 bits. */
export function nearestColour(red: number, green: number, blue: number): number {
  const channels = [red, green, blue].map((value) => Math.min(255, Math.max(0, value)));
  const [r = 0, g = 0, b = 0] = channels.map((value) =>
    LEVELS.reduce<number>(
      (best, level, index) =>
        Math.abs(level - value) < Math.abs((LEVELS[best] ?? 0) - value) ? index : best,
      0,
    ),
  );
  const cube = CUBE + 36 * r + 6 * g + b;
  const mean = channels.reduce((sum, value) => sum + value, 0) / 3;
  const grey = GREYS + Math.min(23, Math.max(0, Math.round((mean - 8) / 10)));
  const distance = (index: number): number =>
    rgbOf(index).reduce((sum, value, at) => sum + (value - (channels[at] ?? 0)) ** 2, 0);
  return distance(grey) < distance(cube) ? grey : cube;
}

/** A colour of the cube or the greys (16 to 255) as xterm has them. The first 16 are the theme's. */
export function rgbOf(index: number): readonly [number, number, number] {
  if (index >= GREYS) {
    const level = 8 + 10 * (index - GREYS);
    return [level, level, level];
  }
  const at = index - CUBE;
  return [LEVELS[Math.floor(at / 36)] ?? 0, LEVELS[Math.floor(at / 6) % 6] ?? 0, LEVELS[at % 6] ?? 0];
}

/** A colour of SGR 38 or 48: `5;n` or `2;r;g;b`; with colons, a colour space may stand before r. */
function extended(values: readonly number[], colons: boolean): { colour: number | null; used: number } {
  if (values[0] === 5) return { colour: (values[1] ?? 0) & 255, used: 2 };
  if (values[0] !== 2) return { colour: null, used: values.length };
  const at = colons && values.length > 4 ? 2 : 1;
  return { colour: nearestColour(values[at] ?? 0, values[at + 1] ?? 0, values[at + 2] ?? 0), used: at + 3 };
}

/** Applies the parameters of an SGR sequence, such as "1;31" or "38:2::255:0:0". */
export function withSgr(style: Style, parameters: string): Style {
  let { foreground, background, flags } = style;
  const fields = parameters.split(";");
  for (let at = 0; at < fields.length; at++) {
    const [code = 0, ...values] = (fields[at] ?? "").split(":").map((digits) => Number(digits) || 0);
    if (code === 0) {
      foreground = null;
      background = null;
      flags = 0;
    } else if (code === 38 || code === 48) {
      const colons = values.length > 0;
      const rest = colons ? values : fields.slice(at + 1, at + 5).map((digits) => Number(digits) || 0);
      const { colour, used } = extended(rest, colons);
      if (!colons) at += used;
      if (colour === null) continue;
      if (code === 38) foreground = colour;
      else background = colour;
    } else if (code >= 30 && code <= 37) foreground = code - 30;
    else if (code >= 90 && code <= 97) foreground = code - 82;
    else if (code >= 40 && code <= 47) background = code - 40;
    else if (code >= 100 && code <= 107) background = code - 92;
    else if (code === 39) foreground = null;
    else if (code === 49) background = null;
    else flags = (flags | (SETS[code] ?? 0)) & ~(CLEARS[code] ?? 0);
  }
  return { foreground, background, flags };
}

/**
 * CSS classes of a style: `f1` a foreground that is readable on the terminal's background, `b1` a background, `r1` a foreground as it
 * is, on a background that was asked for as well; `fd` and `bd` the terminal's own colours changed over. The rules are
 * made by worker/pages/palette.ts.
 */
export function classesOf({ foreground, background, flags }: Style): string {
  const names: string[] = [];
  if ((flags & FLAGS.inverse) !== 0) {
    names.push(foreground === null ? "bd" : `b${foreground}`, background === null ? "fd" : `r${background}`);
  } else if (background === null) {
    if (foreground !== null) names.push(`f${foreground}`);
  } else {
    names.push(`b${background}`);
    if (foreground !== null) names.push(`r${foreground}`);
  }
  if ((flags & FLAGS.bold) !== 0) names.push("bo");
  if ((flags & FLAGS.dim) !== 0) names.push("di");
  if ((flags & FLAGS.italic) !== 0) names.push("it");
  if ((flags & FLAGS.underline) !== 0) names.push("un");
  if ((flags & FLAGS.strike) !== 0) names.push("st");
  return names.join(" ");
}
