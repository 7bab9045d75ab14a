import { ConsoleReader } from "../../../jobs/ansi/console.ts";
import { decodeStyle } from "../../../jobs/ansi/style.ts";
import { bytes as bytesText } from "../format.ts";
import { lineElement } from "./lines.ts";

/** Lines kept in the page; a guest that floods must not fill the browser. */
const LINES = 20_000;
const RETRY_MILLISECONDS = 1000;
/** From the end, in pixels, within which the console counts as being at it. */
const NEAR = 40;

/** Reads a running job's console on from where the page ends; resolves when the job has ended. */
export async function followConsole(box: HTMLElement, grown: () => void): Promise<void> {
  const { follow, offset, line, style } = box.dataset;
  if (follow === undefined) return;
  const reader = new ConsoleReader({
    offset: Number(offset),
    number: Number(line),
    style: decodeStyle(style ?? ""),
  });
  for (;;) {
    try {
      const response = await fetch(`${follow}&offset=${reader.bytes}`);
      if (response.status >= 400 && response.status < 500) return;
      if (response.ok && response.body !== null) {
        const stream = response.body.getReader();
        for (let piece = await stream.read(); !piece.done; piece = await stream.read()) {
          show(box, reader, piece.value);
          grown();
        }
        return;
      }
    } catch {
      // The connection broke; go on where it was.
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
  }
}

function show(box: HTMLElement, reader: ConsoleReader, bytes: Uint8Array): void {
  document.getElementById("nothing")?.remove();
  const size = document.getElementById("console-bytes");
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
  const first = reader.position.number;
  const lines = reader.read(bytes);
  if (size !== null) size.textContent = bytesText(reader.bytes);
  const last = reader.unfinished();
  if (last !== undefined) lines.push(last);
  // What was unfinished is there already.
  document.getElementById(`L${first}`)?.remove();
  box.append(...lines.slice(-LINES).map(lineElement));
  while (box.childElementCount > LINES) box.firstElementChild?.remove();
  const tail = document.getElementById("tail") as HTMLInputElement | null;
  if (atEnd || tail?.checked === true) box.scrollTop = box.scrollHeight;
}
