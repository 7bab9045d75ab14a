import { raw } from "hono/html";
import type { ConsoleLine } from "../../jobs/ansi/console.ts";
import { encodeStyle } from "../../jobs/ansi/style.ts";
import { type ConsoleWindow, linesHtml } from "./console-view.ts";
import { bytes, grouped, visible } from "./format.ts";

export interface ConsoleProps {
  readonly jobId: string;
  readonly live: boolean;
  readonly consoleBytes: number;
  readonly window: ConsoleWindow;
  /** Lines at which the kernel complained. */
  readonly marked: ReadonlySet<number>;
  readonly search:
    | { readonly text: string; readonly lines: readonly ConsoleLine[]; readonly more: boolean }
    | undefined;
}

/** The console: a window of its lines, a search, and what the script needs to go on reading. */
export function Console({ jobId, live, consoleBytes, window, marked, search }: ConsoleProps) {
  const { next, before, behind, lines } = window;
  const self = `/jobs/${jobId}`;
  const follow =
    live && next !== null
      ? {
          "data-follow": `${self}/console?follow=1`,
          "data-offset": String(next.offset),
          "data-line": String(next.number),
          "data-style": encodeStyle(next.style),
        }
      : {};
  return (
    <section id="console" aria-labelledby="console-title">
      <div class="bar">
        <h2 id="console-title">Console</h2>
        <search>
          <form method="get" action={`${self}#console`} data-search="console">
            <label for="q">Search</label>
            <input
              id="q"
              name="q"
              type="search"
              value={search?.text ?? ""}
              maxlength={200}
              autocomplete="off"
            />
            <button type="submit">Find</button>
            <output id="found" />
          </form>
        </search>
        <form method="get" action={`${self}#console`} data-goto="console">
          <label for="line">Line</label>
          <input id="line" name="line" inputmode="numeric" pattern="[0-9]{1,9}" size={6} autocomplete="off" />
          <button type="submit">Go</button>
        </form>
        <span class="soft">
          <span id="console-bytes">{bytes(consoleBytes)}</span> <a href={`${self}/console`}>as text</a>
        </span>
        <label class="only-script">
          <input type="checkbox" id="tail" checked={live} /> follow the end
        </label>
      </div>
      {search !== undefined && (
        <div id="search">
          <p role="status">
            {search.lines.length === 0
              ? `No line has “${visible(search.text)}” in it.`
              : `${search.more ? "The first " : ""}${grouped(search.lines.length)} ${search.lines.length === 1 ? "line has" : "lines have"} “${visible(search.text)}” in ${search.lines.length === 1 ? "it" : "them"}.`}{" "}
            <a href={`${self}#console`}>Clear the search</a>
          </p>
          {search.lines.length > 0 && (
            <section class="console found" tabindex={0} aria-label="Lines found">
              {raw(
                linesHtml(search.lines, new Set(), (line) => `${self}?line=${line}#L${line}`).replaceAll(
                  ' id="L',
                  ' data-line="',
                ),
              )}
            </section>
          )}
        </div>
      )}
      {before !== null && (
        <p>
          <a href={`${self}?line=${before}#console`}>Earlier lines</a>
        </p>
      )}
      <section
        class="console"
        id="lines"
        tabindex={0}
        aria-label="Console output"
        aria-live="off"
        data-job={jobId}
        {...follow}
      >
        {lines.length === 0 ? (
          <p class="soft" id="nothing">
            {live ? "Nothing has been printed yet." : "Nothing was printed."}
          </p>
        ) : (
          raw(linesHtml(lines, marked))
        )}
      </section>
      {behind !== null && (
        <p>
          <a href={`${self}?line=${behind}#console`}>Later lines</a>
        </p>
      )}
    </section>
  );
}
