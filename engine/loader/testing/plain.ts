/**
 * 48 KiB that exercise what decompressors differ in: text with near and far repeats, x86 CALLs to common targets (for
 * xz's branch filter), noise that does not compress, and long runs (for bzip2's run lengths and zstd's RLE blocks).
 */
export function plainBytes(): Uint8Array {
  const bytes: number[] = [];
  let state = 12345;
  const random = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 16;
  };
  const words = [
    "hypercall ",
    "event ",
    "channel ",
    "grant ",
    "reference ",
    "ring ",
    "back end ",
    "front end\n",
  ];
  const text = (count: number): void => {
    for (let i = 0; i < count; i++) bytes.push(...new TextEncoder().encode(words[random() % words.length]!));
  };
  const calls = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const target = (random() % 16) * 0x40;
      const relative = (target - (bytes.length + 5)) | 0;
      bytes.push(random() % 4 === 0 ? 0xe9 : 0xe8, relative, relative >> 8, relative >> 16, relative >> 24);
      for (let pad = random() % 3; pad > 0; pad--) bytes.push(random() % 8 === 0 ? 0xe8 : 0x90);
    }
  };
  text(800);
  calls(1500);
  for (let i = 0; i < 3000; i++) bytes.push(random());
  for (let i = 0; i < 9000; i++) bytes.push(0);
  text(900);
  calls(800);
  for (let i = 0; i < 1000; i++) bytes.push(0xff);
  return Uint8Array.from(bytes);
}
