import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tokenIn } from "./kept-token.ts";

/* Somebody stops `npm run dev` and starts it again: what he has in his shell must still be its token, and nobody else's to read. */

test("a directory has one token, which only its owner may read", async () => {
  const parent = await mkdtemp(join(tmpdir(), "xenner-token-"));
  try {
    const directory = join(parent, "dev");
    const token = await tokenIn(directory);
    // Nothing that a shell or an option parser would take for more than a word.
    expect(token).toMatch(/^[0-9a-f]{48}$/);
    expect(await tokenIn(directory)).toBe(token);
    expect(await tokenIn(join(parent, "other"))).not.toBe(token);
    expect((await stat(join(directory, "token"))).mode & 0o777).toBe(0o600);
  } finally {
    await rm(parent, { recursive: true });
  }
});
