/** Numbers, times and names as pages show them. */
import { visibleCharacter } from "../../jobs/ansi/line.ts";

const GROUPS = new Intl.NumberFormat("en-US");
const SI: readonly (readonly [number, string])[] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];
const BINARY: readonly (readonly [number, string])[] = [
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
];
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Three significant digits, without zeros at the end. */
const short = (value: number): string => String(Number(value.toPrecision(3)));

/** 1234567 as "1,234,567". */
export const grouped = (value: number): string => GROUPS.format(value);

/** 1234567 as "1.23 M". */
export function si(value: number, unit = ""): string {
  const [divisor, prefix] = SI.find(([least]) => Math.abs(value) >= least) ?? [1, ""];
  return `${short(value / divisor)} ${prefix}${unit}`.trim();
}

export function bytes(value: number): string {
  const [divisor, unit] = BINARY.find(([least]) => value >= least) ?? [1, value === 1 ? "byte" : "bytes"];
  return `${short(value / divisor)} ${unit}`;
}

/** 0.0123 as "12.3 ms", 75 as "1 min 15 s". */
export function seconds(value: number): string {
  if (value === 0) return "0 s";
  if (value < 1e-3) return `${short(value * 1e6)} µs`;
  if (value < 1) return `${short(value * 1e3)} ms`;
  if (value < MINUTE) return `${short(value)} s`;
  if (value < HOUR) return `${Math.floor(value / MINUTE)} min ${Math.round(value % MINUTE)} s`;
  return `${Math.floor(value / HOUR)} h ${Math.round((value % HOUR) / MINUTE)} min`;
}

/** A share of 0 to 1, as precise as it has to be near its ends. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 99.9 && value < 100) return `${Math.floor(value * 1000) / 1000} %`;
  if (value !== 0 && Math.abs(value) < 0.1) return `${Number(value.toPrecision(1))} %`;
  return `${Number(value.toFixed(1))} %`;
}

/** A change with its sign: "+0.5 %". */
export function change(value: number): string {
  if (value === 0) return "±0 %";
  const digits = Math.abs(value) >= 10 ? 1 : 3;
  return `${value > 0 ? "+" : "−"}${Number(Math.abs(value).toFixed(digits)) || "<0.001"} %`;
}

/** "2026-11-23T05:10:30.123Z" as "2026-11-23 05:10:30 UTC". */
export const instant = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;

/** How long ago: "3 min ago". */
export function ago(iso: string, now: number): string {
  const elapsed = Math.max(0, (now - Date.parse(iso)) / 1000);
  if (elapsed < MINUTE) return `${Math.floor(elapsed)} s ago`;
  if (elapsed < HOUR) return `${Math.floor(elapsed / MINUTE)} min ago`;
  if (elapsed < DAY) return `${Math.floor(elapsed / HOUR)} h ago`;
  return `${Math.floor(elapsed / DAY)} d ago`;
}

/** Text of users and guests as it may stand in a page: control characters, and those that turn text around, are replaced. */
export function visible(text: string): string {
  let shown = "";
  for (const character of text) shown += character === "\n" ? character : visibleCharacter(character);
  return shown;
}

/** An address that may be a link's: http or https, nothing else. */
export function webAddress(text: string): string | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, username, password, href } = new URL(text);
  if (!["http:", "https:"].includes(protocol) || username !== "" || password !== "") return undefined;
  return href;
}
