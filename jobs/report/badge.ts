import { BADGE_CHARACTERS } from "./limits.ts";
import { attribute, xml } from "./xml.ts";

const COLOURS: Readonly<Record<string, string>> = {
  pass: "#2a7f3f",
  skip: "#6a737d",
  canceled: "#6a737d",
  running: "#0a5dad",
  timeout: "#b35900",
  "no-output": "#b35900",
  fail: "#b3261e",
  crash: "#b3261e",
  error: "#6f42c1",
};
const UNKNOWN_COLOUR = "#6a737d";
const HEIGHT = 20;
const PADDING = 6;
/** Widths of DejaVu Sans at 11 px, in three classes; the text is stretched to what was reckoned, so it always fits. */
const NARROW = /[ijlftrI1.,:;'|! ()[\]-]/;
const WIDE = /[mwMW@%]/;

function width(text: string): number {
  let pixels = 0;
  for (const character of text) pixels += NARROW.test(character) ? 4.4 : WIDE.test(character) ? 10.4 : 7.2;
  return Math.ceil(pixels);
}

/** A badge: what it is about on the left, a verdict (or another word) on the right. */
export function writeBadge(label: string, verdict: string): string {
  const left = shorten(label);
  const right = shorten(verdict);
  const leftWidth = width(left) + 2 * PADDING;
  const rightWidth = width(right) + 2 * PADDING;
  const total = leftWidth + rightWidth;
  const text = (content: string, x: number, length: number): string =>
    `<text x="${x}" y="14" textLength="${length}" lengthAdjust="spacingAndGlyphs">${xml(content)}</text>`;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${total}" height="${HEIGHT}" role="img" aria-label="${attribute(`${left}: ${right}`)}">`,
    `<title>${xml(`${left}: ${right}`)}</title>`,
    `<clipPath id="r"><rect width="${total}" height="${HEIGHT}" rx="3"/></clipPath>`,
    '<g clip-path="url(#r)">',
    `<rect width="${leftWidth}" height="${HEIGHT}" fill="#444"/>`,
    `<rect x="${leftWidth}" width="${rightWidth}" height="${HEIGHT}" fill="${COLOURS[right] ?? UNKNOWN_COLOUR}"/>`,
    "</g>",
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">',
    text(left, PADDING, width(left)),
    text(right, leftWidth + PADDING, width(right)),
    "</g>",
    "</svg>",
  ].join("\n")}\n`;
}

function shorten(text: string): string {
  const line = text.toWellFormed().replace(/\s+/g, " ").trim() || "?";
  return line.length > BADGE_CHARACTERS ? `${line.slice(0, BADGE_CHARACTERS - 1).toWellFormed()}…` : line;
}
