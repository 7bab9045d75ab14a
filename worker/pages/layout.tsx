import { raw } from "hono/html";
import type { Child } from "hono/jsx";
import { ASSETS } from "./assets.generated.ts";

export const SCRIPT_PATH = `/assets/dashboard-${ASSETS.scriptHash}.js`;
export const STYLE_PATH = `/assets/dashboard-${ASSETS.styleHash}.css`;
export const ICON_PATH = `/assets/icon-${ASSETS.iconHash}.svg`;

/** Which entry of the navigation the page belongs to. */
export type Section = "jobs" | "batches" | "new" | "none";

export interface Visitor {
  /** The name of whoever is logged in; undefined for nobody. */
  readonly name: string | undefined;
  /** Whether the visitor may start jobs. */
  readonly mayRun: boolean;
}

export interface PageProps {
  readonly title: string;
  readonly section: Section;
  readonly visitor: Visitor;
  /** Where whoever is nobody yet logs in. */
  readonly login: string;
  /** Seconds after which a browser without scripts asks again; undefined for a page that does not change. */
  readonly refresh?: number | undefined;
  readonly children?: Child;
}

const REFRESH = /^\d{1,4}$/;

/** A whole page. */
export function Page({ title, section, visitor, login, refresh, children }: PageProps) {
  const current = (name: Section) => (name === section ? { "aria-current": "page" as const } : {});
  const again = String(refresh ?? "");
  return (
    <>
      {raw("<!doctype html>")}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <title>{`${title} · xenner`}</title>
          <link rel="stylesheet" href={STYLE_PATH} />
          <link rel="icon" type="image/svg+xml" href={ICON_PATH} />
          {REFRESH.test(again) && raw(`<noscript><meta http-equiv="refresh" content="${again}"></noscript>`)}
          <script type="module" src={SCRIPT_PATH} />
        </head>
        <body>
          <a class="skip" href="#main">
            Skip to the content
          </a>
          <header>
            <a class="brand" href="/">
              <img src={ICON_PATH} width="22" height="22" alt="" /> xenner
            </a>
            <nav aria-label="Main">
              <a href="/" {...current("jobs")}>
                Jobs
              </a>
              <a href="/batches" {...current("batches")}>
                Batches
              </a>
              {visitor.mayRun && (
                <a href="/new" {...current("new")}>
                  New job
                </a>
              )}
              <a href="/docs">API</a>
            </nav>
            <div class="visitor">
              {visitor.name === undefined ? (
                <a href={login}>Log in</a>
              ) : (
                <form method="post" action="/logout">
                  <span>
                    <bdi>{visitor.name}</bdi>
                  </span>
                  <button type="submit" class="quiet">
                    Log out
                  </button>
                </form>
              )}
            </div>
          </header>
          <main id="main" tabindex={-1}>
            {children}
          </main>
          <footer>
            <p>
              xenner boots guest kernels on a processor of its own. The same job prints the same bytes in the
              same number of instructions.
            </p>
          </footer>
        </body>
      </html>
    </>
  );
}
