import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const TOKEN_FILE = "token";
const TOKEN_BYTES = 24;

/** A token that nobody has guessed, in digits that can stand anywhere: one that began with "-" would be an option behind `--token`. */
export const newToken = (): string => randomBytes(TOKEN_BYTES).toString("hex");

/** The token of the server that keeps its jobs in this directory: the same each time, for shells and scripts that have it. */
export async function tokenIn(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, TOKEN_FILE);
  const kept = await readFile(path, "utf8").catch(() => "");
  if (kept.trim() !== "") return kept.trim();
  const token = newToken();
  await writeFile(path, `${token}\n`, { mode: 0o600 });
  return token;
}
