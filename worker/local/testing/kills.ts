import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { bootWithKills, differences, type Result } from "../soak/boot.ts";
import { KillableServer } from "../soak/killable-server.ts";
import { earlier, type Kill } from "../soak/plan.ts";

/** Boots that may be over before they are killed. */
const MISSES = 20;

/** What the guest printed. */
export const textOf = ({ console }: Result): string => new TextDecoder().decode(console);

/** A server of a test file, whose processes are killed under its guests. */
export class KilledGuests {
  #server: KillableServer | undefined;
  #directory: string | undefined;

  /** Registers the server's start before the file's tests and its end behind them. `name`: of its directory. */
  constructor(name: string) {
    beforeAll(async () => {
      const directory = await mkdtemp(join(tmpdir(), `xenner-${name}-`));
      this.#directory = directory;
      this.#server = new KillableServer(directory, `${name}-test-token`);
      await this.#server.start();
    }, 300_000);
    afterAll(async () => {
      await this.#server?.stop();
      if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
    });
  }

  get server(): KillableServer {
    if (this.#server === undefined) throw new Error("the server is started before the first test");
    return this.#server;
  }

  /** Where the server's storage is. */
  get directory(): string {
    if (this.#directory === undefined) throw new Error("the server is started before the first test");
    return this.#directory;
  }

  /** The body of POST /jobs for a kernel's file, which is sent to the server. */
  async requestFor(path: string, config: Readonly<Record<string, unknown>>): Promise<unknown> {
    return { kernel: { sha256: await this.server.client().putFile(path) }, config };
  }

  /** A boot that nothing disturbs. */
  async boot(request: unknown): Promise<Result> {
    return (await bootWithKills(this.server, request, [], undefined)).result;
  }

  /**
   * Boots again and again until all of `plan` was carried out; each boot must come out as `reference`. How fast a machine is must
   * not matter: a kill for which a whole boot was too short comes earlier in the next. Gives the kills.
   */
  async survive(request: unknown, reference: Result, plan: readonly Kill[]): Promise<readonly Kill[]> {
    const done: Kill[] = [];
    const left = [...plan];
    let missed = 0;
    while (left.length > 0) {
      const killed = await bootWithKills(this.server, request, left, reference);
      expect(differences(reference, killed)).toEqual([]);
      done.push(...left.splice(0, killed.kills.length));
      const next = left[0];
      if (killed.kills.length > 0 || next === undefined) continue;
      expect(++missed, `boots that were over before ${JSON.stringify(next)}`).toBeLessThan(MISSES);
      left[0] = earlier(next);
    }
    return done;
  }
}
