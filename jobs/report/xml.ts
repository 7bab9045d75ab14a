/**
 * Text for an XML 1.0 document, in content or in a quoted attribute. What XML cannot hold at all (section 2.2: most control
 * characters, half surrogate pairs) is shown by a stand-in: a control picture, or U+FFFD.
 */
export function xml(text: string): string {
  return (
    text
      .toWellFormed()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not come through
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, (control) =>
        String.fromCharCode(0x2400 + control.charCodeAt(0)),
      )
      .replace(/[\ufffe\uffff]/g, "\ufffd")
      .replace(/[&<>"'\r\u007f-\u009f]/g, (character) => `&#${character.charCodeAt(0)};`)
  );
}

/** As `xml`, for an attribute: a reader would turn line ends and tabs into spaces. */
export function attribute(text: string): string {
  return xml(text).replace(/[\n\t]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** ` name="value"` for each attribute. */
export function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${attribute(String(value))}"`)
    .join("");
}
