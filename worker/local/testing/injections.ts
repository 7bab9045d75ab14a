import type { ScriptEvent } from "../../testing/scripted-machine.ts";

/** What somebody would write who wants a page to execute it. */
export const MARKUP: readonly string[] = [
  "<script>alert('x')</script>",
  "<img src=x onerror=alert(1)>",
  '"><svg onload=alert(1)>',
  "'><body onload=alert(1)>",
  "</div></section></main><h1>taken over</h1>",
  "<!-- never closed",
  "]]><![CDATA[",
  "<style>*{display:none}</style>",
  "</title><script>alert(2)</script>",
  "</textarea><script>alert(3)</script>",
  "</script><script>alert(4)</script>",
  "<base href=//elsewhere.example/>",
  '<meta http-equiv="refresh" content="0;url=//elsewhere.example/">',
  "<iframe srcdoc='<script>parent.alert(5)</script>'></iframe>",
  "<form action=//elsewhere.example><button>Log in</button></form>",
  "<a href=javascript:alert(6)>click</a>",
  "<math><mtext></p><svg><style><img src=x onerror=alert(7)>",
  "<link rel=stylesheet href=//elsewhere.example/x.css>",
  "javascript:alert(8)",
  "&lt;b&gt; &#60;script&#62; &nbsp",
  "$" + "{alert(9)} {{constructor.constructor('alert(10)')()}}",
  "\" onmouseover=alert(11) x=\" ' autofocus onfocus=alert(12) '",
];

const ESCAPES: readonly string[] = [
  "\x1b[31m<script>alert('red')</script>\x1b[0m",
  "\x1b]8;;javascript:alert(20)\x1b\\click me\x1b]8;;\x1b\\",
  "\x1b]8;;https://elsewhere.example/\x07a link\x1b]8;;\x07",
  "\x1b]0;</title><script>alert(21)</script>\x07title",
  "\x1b]52;c;YWxlcnQoMSk=\x07clipboard",
  "\x1b[2J\x1b[H\x1b[?1049hcleared",
  "\x1bPq#0;2;0;0;0<script>alert(22)</script>\x1b\\sixel",
  "\x1b]0;a title that never ends <script>alert(23)</script>",
  "\x1b[38;5;999;48;2;1e9;-1;xm odd colours \x1b[m",
  "\x1b[99999999C far to the right",
  "\x1b_apc <img src=x onerror=alert(24)>\x1b\\ \x1b^pm\x1b\\ done",
  "\x1b[8mhidden\x1b[0m \x1b[5mblinking\x1b[0m",
  "fine\r<script>alert(25)</script>",
  "abc\b\b\b<img src=x onerror=alert(26)>",
];

const ODD: readonly string[] = [
  "NULs \0\0\0 and \x01\x02\x7f controls",
  "\u202ereversed\u202c \u2066isolated\u2069",
  `${"A".repeat(4090)}<script>alert(30)</script>${"B".repeat(6000)}`,
  `${"<b>".repeat(5000)}`,
  "combining e\u0301\u0301\u0301\u0301 and \ufeff marks",
];

/** Bytes that are no UTF-8, among them what an older decoder might take for "<". */
const BAD_UTF8 = [
  "ff fe fd",
  "c0 bc 73 63 72 69 70 74 3e",
  "e0 80 bc 62 3e",
  "ed a0 80",
  "f8 88 80 80 80",
  "c3",
  "1b c3 5b",
];

const hexOf = (text: string): string => Buffer.from(text, "utf8").toString("hex");

/** A guest that prints all of it, a line each `step` instructions. */
export function injectionEvents(step: number): readonly ScriptEvent[] {
  const lines = [
    ...[...MARKUP, ...ESCAPES, ...ODD].map((line) => hexOf(`${line}\n`)),
    ...BAD_UTF8.map((bytes) => `${bytes.replaceAll(" ", "")}0a`),
    hexOf("the end <i>of it</i>"),
  ];
  return [
    ...lines.map((printHex, index) => ({ at: (index + 1) * step, printHex })),
    { at: (lines.length + 1) * step, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
  ];
}
