/** Searching the lines that are in the page, and going to a line. Without this script the server does both. */

const HITS = 2000;

export class Search {
  readonly #box: HTMLElement;
  readonly #input: HTMLInputElement;
  readonly #output: HTMLElement;
  #hits: Element[] = [];
  #now = -1;
  #text = "";

  constructor(box: HTMLElement, form: HTMLFormElement, input: HTMLInputElement, output: HTMLElement) {
    this.#box = box;
    this.#input = input;
    this.#output = output;
    form.addEventListener("submit", (event) => {
      // Lines that are not in the page are the server's to search.
      if (form.dataset.partial !== undefined) return;
      event.preventDefault();
      this.#go(1);
    });
    input.addEventListener("input", () => this.refresh());
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.shiftKey) {
        event.preventDefault();
        this.#go(-1);
      }
      if (event.key === "Escape") {
        input.value = "";
        this.refresh();
      }
    });
    this.refresh();
  }

  /** Looks again: the text or the lines have changed. */
  refresh(): void {
    const text = this.#input.value.toLowerCase();
    if (text === "" && this.#text === "") return;
    const current = this.#hits[this.#now];
    for (const hit of this.#hits) hit.classList.remove("hit", "now");
    this.#text = text;
    this.#hits =
      text === ""
        ? []
        : [...this.#box.children]
            .filter((line) => line.classList.contains("l") && wordsOf(line).includes(text))
            .slice(0, HITS);
    for (const hit of this.#hits) hit.classList.add("hit");
    this.#now = current === undefined ? -1 : this.#hits.indexOf(current);
    this.#hits[this.#now]?.classList.add("now");
    this.#tell();
  }

  #go(step: 1 | -1): void {
    this.refresh();
    const count = this.#hits.length;
    if (count === 0) return;
    this.#hits[this.#now]?.classList.remove("now");
    this.#now = this.#now < 0 && step < 0 ? count - 1 : (this.#now + step + count) % count;
    const hit = this.#hits[this.#now];
    hit?.classList.add("now");
    hit?.scrollIntoView({ block: "center" });
    this.#tell();
  }

  #tell(): void {
    const count = this.#hits.length;
    if (this.#text === "") this.#output.textContent = "";
    else if (count === 0) this.#output.textContent = "no line";
    else this.#output.textContent = this.#now < 0 ? `${count} lines` : `${this.#now + 1} of ${count}`;
  }
}

/** A line's text without its number. */
function wordsOf(line: Element): string {
  const number = line.firstElementChild?.textContent ?? "";
  return (line.textContent ?? "").slice(number.length).toLowerCase();
}

/** Shows a line; false if it is not in the page. */
export function showLine(number: number): boolean {
  const line = document.getElementById(`L${number}`);
  if (line === null) return false;
  line.scrollIntoView({ block: "center" });
  return true;
}
