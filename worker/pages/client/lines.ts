import type { ConsoleLine } from "../../../jobs/ansi/console.ts";
import { classesOf } from "../../../jobs/ansi/style.ts";

/** As linesHtml of ../console-view.ts makes it. Text nodes only: nothing a guest prints is ever HTML. */
export function lineElement({ number, spans }: ConsoleLine): HTMLElement {
  const element = document.createElement("div");
  element.className = "l";
  element.id = `L${number}`;
  const link = document.createElement("a");
  link.tabIndex = -1;
  link.href = `#L${number}`;
  link.textContent = String(number);
  element.append(link);
  for (const { text, style } of spans) {
    const classes = classesOf(style);
    if (classes === "") element.append(text);
    else {
      const span = document.createElement("span");
      span.className = classes;
      span.textContent = text;
      element.append(span);
    }
  }
  element.append("\n");
  return element;
}
