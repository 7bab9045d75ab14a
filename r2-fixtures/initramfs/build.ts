import { type CpioEntry, writeCpio } from "../cpio.ts";

/** The applets of busybox that `init` calls; each is a symbolic link to busybox. */
const APPLETS = [
  "awk",
  "cat",
  "dd",
  "grep",
  "head",
  "md5sum",
  "mount",
  "poweroff",
  "sed",
  "seq",
  "sh",
  "sha256sum",
  "sleep",
  "sort",
  "true",
  "uname",
  "uniq",
  "wc",
] as const;

/**
 * The test guests' initramfs: busybox, `init`, and the device nodes a kernel opens before devtmpfs is mounted.
 *
 * @param busybox a statically linked busybox
 * @param init the script that becomes /init
 * @returns an uncompressed newc archive; the same inputs give the same bytes
 */
export function buildInitramfs(busybox: Uint8Array, init: Uint8Array): Uint8Array {
  const entries: CpioEntry[] = [
    ...["bin", "dev", "proc", "sys"].map((name) => ({ kind: "directory", name, mode: 0o755 }) as const),
    // Linux opens /dev/console for process 1 before any user code runs (init/main.c, console_on_rootfs).
    { kind: "character-device", name: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "character-device", name: "dev/null", mode: 0o666, major: 1, minor: 3 },
    { kind: "file", name: "bin/busybox", mode: 0o755, data: busybox },
    ...APPLETS.map((applet) => ({ kind: "symlink", name: `bin/${applet}`, target: "busybox" }) as const),
    { kind: "file", name: "init", mode: 0o755, data: init },
  ];
  return writeCpio(entries);
}
