/** Parts of a page, fetched anew and put in the places of the old ones. */

interface Policy {
  createHTML(html: string): string;
}
interface TrustedTypes {
  createPolicy(name: string, rules: { createHTML(html: string): string }): Policy;
}

const NAME = "xenner-fragments";
const BOX = "input[type=checkbox]";
const TICKED = `${BOX}:checked`;

/** The only way from a string to HTML here. The strings are pages of this worker, which escapes what it did not write. */
const policy: Policy = (
  (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes ?? {
    createPolicy: (_: string, rules: Policy): Policy => rules,
  }
).createPolicy(NAME, { createHTML: (html) => html });

/** Fetches a page of this worker; undefined if that does not work now. */
export async function fetchPage(address: string): Promise<Document | undefined> {
  const url = new URL(address, location.href);
  if (url.origin !== location.origin) return undefined;
  try {
    const response = await fetch(url, { headers: { accept: "text/html" }, redirect: "error" });
    if (!response.ok) return undefined;
    // A document made like this executes nothing.
    return new DOMParser().parseFromString(policy.createHTML(await response.text()), "text/html");
  } catch {
    return undefined;
  }
}

/** Puts the page's elements with these ids in the places of ours; leaves alone what is the same, open tables and ticked boxes. */
export function replaceParts(page: Document, ids: readonly string[]): void {
  for (const id of ids) {
    const [fresh, old] = [page.getElementById(id), document.getElementById(id)];
    if (fresh === null || old === null || fresh.outerHTML === old.outerHTML) continue;
    const open = [...old.querySelectorAll("details")].map((details) => details.open);
    // By value: jobs that are new move the others down.
    const ticked = new Set([...old.querySelectorAll<HTMLInputElement>(TICKED)].map(({ value }) => value));
    const focused = document.activeElement;
    const path = focused !== null && old.contains(focused) ? pathOf(focused, old) : undefined;
    const copy = document.importNode(fresh, true);
    for (const [index, details] of [...copy.querySelectorAll("details")].entries())
      details.open = open[index] ?? false;
    for (const box of copy.querySelectorAll<HTMLInputElement>(BOX)) box.checked = ticked.has(box.value);
    old.replaceWith(copy);
    // Whoever is there with the keyboard stays there.
    if (path !== undefined) elementAt(path, copy)?.focus({ preventScroll: true });
  }
}

function pathOf(element: Element, root: Element): number[] {
  const path: number[] = [];
  for (let at = element; at !== root; ) {
    const parent = at.parentElement;
    if (parent === null) break;
    path.unshift([...parent.children].indexOf(at));
    at = parent;
  }
  return path;
}

function elementAt(path: readonly number[], root: Element): HTMLElement | undefined {
  let at: Element | undefined = root;
  for (const index of path) at = at?.children[index];
  return at as HTMLElement | undefined;
}
