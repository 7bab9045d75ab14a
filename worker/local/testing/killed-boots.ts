import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { bootWithKills, differences, type Result } from "../soak/boot.ts";
import { KillableServer } from "../soak/killable-server.ts";
import type { Kill } from "../soak/plan.ts";

/** Boots in a row that may be over before they are killed. */
const MISSES = 10;

/** A server for a file's tests, and the directory that its storage is in. */
export interface ServerOfTests {
  readonly server: KillableServer;
  readonly directory: string;
}

/** Starts a server before a file's tests and removes it with all that it stored afterwards; call what this returns in a test. */
export function serverOfTests(name: string): () => ServerOfTests {
  let made: ServerOfTests | undefined;
  beforeAll(async () => {
    const directory = await mkdtemp(join(tmpdir(), `xenner-${name}-`));
    made = { directory, server: new KillableServer(directory, `${name}-test-token`) };
    await made.server.start();
  });
  afterAll(async () => {
    await made?.server.stop();
    if (made !== undefined) await rm(made.directory, { recursive: true, force: true });
  });
  return () => {
    if (made === undefined) throw new Error("there is a server in tests only");
    return made;
  };
}

/** Boots undisturbed. */
export async function boot(server: KillableServer, request: unknown): Promise<Result> {
  return (await bootWithKills(server, request, [], undefined)).result;
}

/** Boots again and again until all of the kills were done; each boot comes to the same as the one that was not disturbed. */
export async function expectSurvival(
  server: KillableServer,
  request: unknown,
  reference: Result,
  plan: readonly Kill[],
): Promise<void> {
  const done: Kill[] = [];
  let missed = 0;
  while (done.length < plan.length) {
    const killed = await bootWithKills(server, request, plan.slice(done.length), reference);
    expect(differences(reference, killed)).toEqual([]);
    if (killed.kills.length === 0) expect(++missed).toBeLessThan(MISSES);
    done.push(...killed.kills);
  }
}

export const textOf = ({ console }: Result): string => new TextDecoder().decode(console);
