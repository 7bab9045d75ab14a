/*
 * What the dashboard does beyond its pages. Every page works without it: links and forms are real ones, and this only spares the
 * visitor some reloading. It holds no state that matters.
 */
import { followConsole } from "./follow.ts";
import { fetchPage, replaceParts } from "./fragments.ts";
import { Search, showLine } from "./search.ts";

const POLL_MILLISECONDS = 2000;
/** Parts of a job's page that change while it runs. */
const LIVE_PARTS = ["summary", "findings", "last-good", "pictures"];
const LIST_PARTS = ["list", "batch"];
const LINE = /^#L(\d{1,9})$/;

document.documentElement.classList.add("script");

/** Asks for the page's parts again; `part` spares the server the console. */
async function refreshParts(ids: readonly string[]): Promise<void> {
  const address = new URL(location.href);
  address.searchParams.set("part", "live");
  const page = await fetchPage(address.href);
  if (page !== undefined) replaceParts(page, ids);
}

/** Refreshes as long as `live` says so and the page is looked at. */
function poll(ids: readonly string[], live: () => boolean): void {
  const again = async (): Promise<void> => {
    if (!live()) return;
    if (document.visibilityState === "visible") await refreshParts(ids);
    setTimeout(again, POLL_MILLISECONDS);
  };
  setTimeout(again, POLL_MILLISECONDS);
}

const isLive = (id: string) => (): boolean => document.getElementById(id)?.dataset.live === "1";

function jobPage(box: HTMLElement): void {
  const form = document.querySelector<HTMLFormElement>("form[data-search]");
  const input = document.querySelector<HTMLInputElement>("#q");
  const output = document.getElementById("found");
  const search =
    form !== null && input !== null && output !== null ? new Search(box, form, input, output) : undefined;
  const toHash = (): void => {
    const number = LINE.exec(location.hash)?.[1];
    if (number === undefined || showLine(Number(number))) return;
    // The line is in another part of the console: the server knows which.
    const address = new URL(location.href);
    if (address.searchParams.get("line") === number) return;
    address.searchParams.set("line", number);
    location.replace(address);
  };
  addEventListener("hashchange", toHash);
  document.querySelector<HTMLFormElement>("form[data-goto]")?.addEventListener("submit", (event) => {
    const line = (event.target as HTMLFormElement).querySelector("input")?.value ?? "";
    if (document.getElementById(`L${line}`) === null) return;
    event.preventDefault();
    location.hash = `#L${line}`;
  });
  if (!isLive("summary")()) {
    toHash();
    return;
  }
  if (location.hash === "") box.scrollTop = box.scrollHeight;
  let due = false;
  void followConsole(box, () => {
    if (due) return;
    due = true;
    // Not for each piece of a flood.
    setTimeout(() => {
      due = false;
      search?.refresh();
    }, 300);
  }).then(() => refreshParts(LIVE_PARTS));
  poll(LIVE_PARTS, isLive("summary"));
}

const swapped = new Set<string>();
const viewOf = ({ pathname, search }: Location): string => pathname + search;
let shown = viewOf(location);

/** Puts the part with this id of another address in the place of ours; false if that does not work. */
async function swap(address: URL, id: string): Promise<boolean> {
  address.searchParams.set("part", "live");
  const page = await fetchPage(address.href);
  if (page === undefined || page.getElementById(id) === null) return false;
  replaceParts(page, [id]);
  return true;
}

/** Links to another view of the same picture: the picture changes, the page stays. */
document.addEventListener("click", async (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey)
    return;
  const link = (event.target as Element | null)?.closest<HTMLAnchorElement | SVGAElement>("a[data-swap]");
  const address = link?.getAttribute("href");
  const id = link?.getAttribute("data-swap");
  if (address === null || address === undefined || id === null || id === undefined) return;
  event.preventDefault();
  if (!(await swap(new URL(address, location.href), id))) {
    location.assign(address);
    return;
  }
  swapped.add(id);
  history.pushState(null, "", address.split("#")[0]);
  shown = viewOf(location);
});

/** Views of a picture that were chosen here are where Back and Forward lead; lines of the console are, too, but need no other page. */
addEventListener("popstate", async () => {
  if (swapped.size === 0 || viewOf(location) === shown) return;
  shown = viewOf(location);
  for (const id of swapped) if (!(await swap(new URL(location.href), id))) location.reload();
});

/** Filters take effect when they are changed. */
for (const select of document.querySelectorAll<HTMLSelectElement>("form.filters select"))
  select.addEventListener("change", () => select.form?.requestSubmit());

const box = document.getElementById("lines");
if (box !== null) jobPage(box);
for (const id of LIST_PARTS) {
  if (document.getElementById(id) !== null) poll([id], isLive(id));
}
