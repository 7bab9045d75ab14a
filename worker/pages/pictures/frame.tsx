import type { Child } from "hono/jsx";
import { share, type Tick } from "./scale.ts";

export interface LegendEntry {
  /** CSS class that colours it; null for what is no colour. */
  readonly className: string | null;
  readonly label: string;
}

/**
 * A picture with its title, its legend, what it says in words, and the same figures as a table. Its parts are placed in percent of the
 * width, so that text keeps its size on a phone.
 */
export function Picture(props: {
  readonly id: string;
  readonly title: string;
  /** What is to be seen, for those who cannot see it, and as a caption for those who can. */
  readonly summary: string;
  readonly legend?: readonly LegendEntry[];
  readonly height: number;
  readonly table?: Child;
  /** Between the legend and the picture. */
  readonly controls?: Child;
  /** Whether there are links in it; a picture without any is one thing to a screen reader. */
  readonly interactive?: boolean;
  readonly children?: Child;
}) {
  const { id, title, summary, legend = [], height, table, controls, interactive = false, children } = props;
  return (
    <figure class="picture" id={id}>
      <h3 id={`${id}-title`}>{title}</h3>
      <figcaption id={`${id}-summary`}>{summary.replaceAll(" %", "\u00a0%")}</figcaption>
      {legend.length > 0 && (
        <ul class="legend">
          {legend.map(({ className, label }) => (
            <li>
              {className !== null && (
                <svg width="12" height="12" aria-hidden="true">
                  <rect width="12" height="12" rx="2" class={className} />
                </svg>
              )}
              {label}
            </li>
          ))}
        </ul>
      )}
      {controls}
      {/* biome-ignore lint/a11y/noSvgWithoutTitle: its title is the heading above */}
      <svg
        width="100%"
        height={height}
        role={interactive ? "group" : "img"}
        aria-labelledby={`${id}-title`}
        aria-describedby={`${id}-summary`}
      >
        {children}
      </svg>
      {table !== undefined && (
        <details>
          <summary>The figures as a table</summary>
          <section class="scroll" tabindex={0} aria-label={`Table: ${title}`}>
            {table}
          </section>
        </details>
      )}
    </figure>
  );
}

/** Vertical lines with their values below. */
export function Axis(props: {
  readonly ticks: readonly Tick[];
  readonly top: number;
  readonly bottom: number;
  readonly format: (value: number) => string;
  readonly unit: string;
}) {
  const { ticks, top, bottom, format, unit } = props;
  return (
    <g class="axis">
      {ticks.map(({ value, at }) => (
        <>
          <line x1={`${at}%`} x2={`${at}%`} y1={top} y2={bottom + 4} />
          <text x={`${at}%`} y={bottom + 17} text-anchor={anchorOf(at)}>
            {format(value)}
          </text>
        </>
      ))}
      <text class="unit" x="100%" y={bottom + 33} text-anchor="end">
        {unit}
      </text>
    </g>
  );
}

/** A character is at most about 7 pixels wide; on a phone of 360 the picture has 290. */
const CHARACTER_PERCENT = (7 / 290) * 100;

/** How much of the width a text takes, about, where there is least room. */
export const textPercent = (text: string): number => text.length * CHARACTER_PERCENT;

/** Text beside a place must not leave the picture. */
export const anchorOf = (at: number): "start" | "middle" | "end" =>
  at < 4 ? "start" : at > 92 ? "end" : "middle";

export const percentOf = (value: number, most: number): string => `${share(value, most)}%`;
