import { rgbOf } from "../../../jobs/ansi/style.ts";

type Rgb = readonly [number, number, number];

/** The console's own colours, the same in light and dark: guests choose theirs for a dark terminal. */
export const TERMINAL = { foreground: [222, 226, 230], background: [22, 25, 30] } as const satisfies Record<
  string,
  Rgb
>;
/** The sixteen colours with names. */
const NAMED: readonly Rgb[] = [
  [69, 75, 84],
  [224, 84, 84],
  [98, 186, 98],
  [212, 166, 60],
  [92, 146, 236],
  [196, 116, 214],
  [70, 184, 196],
  [205, 209, 214],
  [134, 142, 152],
  [255, 122, 122],
  [134, 220, 134],
  [240, 206, 100],
  [138, 180, 255],
  [222, 156, 240],
  [112, 216, 228],
  [255, 255, 255],
];
/** WCAG 2.2, 1.4.3. */
const CONTRAST = 4.5;
const STEP = 0.04;

const paletteColour = (index: number): Rgb => NAMED[index] ?? rgbOf(index);
const hex = (colour: Rgb): string =>
  `#${colour.map((value) => Math.round(value).toString(16).padStart(2, "0")).join("")}`;

function luminance(colour: Rgb): number {
  const [r = 0, g = 0, b = 0] = colour.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(a: Rgb, b: Rgb): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

/** The colour, made lighter until it can be read on the terminal's background. */
export function readable(index: number): Rgb {
  let colour = paletteColour(index);
  while (contrast(colour, TERMINAL.background) < CONTRAST) {
    const [r, g, b] = colour;
    colour = [r + (255 - r) * STEP, g + (255 - g) * STEP, b + (255 - b) * STEP];
  }
  return colour;
}

/** The rules behind the classes of jobs/ansi/style.ts. */
export function paletteRules(): string {
  const rules = [
    `.console{color:${hex(TERMINAL.foreground)};background:${hex(TERMINAL.background)}}`,
    `.bd{background:${hex(TERMINAL.foreground)}}`,
    `.fd{color:${hex(TERMINAL.background)}}`,
  ];
  for (let index = 0; index < 256; index++) {
    const colour = paletteColour(index);
    const text: Rgb =
      contrast(colour, [0, 0, 0]) > contrast(colour, [255, 255, 255]) ? [0, 0, 0] : [255, 255, 255];
    rules.push(
      `.f${index}{color:${hex(readable(index))}}`,
      `.b${index}{background:${hex(colour)};color:${hex(text)}}`,
    );
  }
  // Behind the backgrounds, whose own colour of text they replace.
  for (let index = 0; index < 256; index++) rules.push(`.r${index}{color:${hex(paletteColour(index))}}`);
  return rules.join("\n");
}
