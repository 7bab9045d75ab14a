/** How pages.bin is made from pages.S, and pages.ts, the form in which it is imported, from pages.bin. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Build } from "../emu/toolchain.ts";
import { GUEST_DOMID } from "../xenner/domain-builder.ts";
import { assemblerConstants } from "../xenner/hvm/blob-layout.ts";
import { XEN_VERSION } from "../xenner/hvm/cpuid.ts";
import { ERRNO } from "../xenner/hvm/errors.ts";
import { NARROW, WIDE } from "../xenner/hvm/shared-info.ts";
import { FEATURES } from "../xenner/hvm/version.ts";

const directory = import.meta.dirname;
const constants = assemblerConstants({
  xenVersion: XEN_VERSION,
  features: FEATURES,
  domid: GUEST_DOMID,
  pending: WIDE.pending,
  mask64: WIDE.mask,
  mask32: NARROW.mask,
  errno: ERRNO,
});

export const HYPERCALL_PAGES_BUILD: Build = {
  directory,
  sources: ["pages.S"],
  flags: [
    "-Wall",
    "-Wextra",
    "-Werror",
    ...Object.entries(constants).map(([name, value]) => `-D${name}=${value}`),
  ],
  script: "pages.lds",
  output: "pages.bin",
};

const MODULE = join(directory, "pages.ts");
const COLUMNS = 100;

/** pages.ts for these bytes. */
export function pagesModule(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(new RegExp(`.{1,${COLUMNS}}`, "g")) ?? [];
  return [
    "/* pages.bin in base64: made by `npm run build:emu-hvm`, not by hand. */",
    "",
    "export const HYPERCALL_PAGES = `",
    ...lines,
    "`;",
    "",
  ].join("\n");
}

/** Whether pages.ts holds what pages.bin does. */
export function isModuleCurrent(): boolean {
  const bytes = readFileSync(join(directory, HYPERCALL_PAGES_BUILD.output));
  return readFileSync(MODULE, "utf8") === pagesModule(bytes);
}

export function writeModule(): void {
  writeFileSync(MODULE, pagesModule(readFileSync(join(directory, HYPERCALL_PAGES_BUILD.output))));
}
