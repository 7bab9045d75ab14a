import { readFileSync } from "node:fs";
import type { GuestMode, HypercallStatistics } from "../../../engine/machine-api.ts";
import type { PreparedFixture } from "../../../r2-fixtures/index.ts";
import type { JobView } from "../../runner/record.ts";
import { LocalServer } from "../server.ts";
import { processSeconds } from "./cpu-time.ts";

export interface WorkerdBoot {
  /** From the POST to the verdict. */
  readonly seconds: number;
  /** Of the processor's time, in workerd, where that can be told. */
  readonly cpuSeconds: number | undefined;
  readonly instructions: number;
  readonly hypercalls: HypercallStatistics["totals"];
}

/** A mode to boot in, and the command line if it is not to be the fixture's. */
export interface BootMode {
  readonly mode: GuestMode;
  readonly cmdline?: string;
}

/** The product's worker in a local workerd. */
export class WorkerdBoots {
  readonly #server: LocalServer;

  private constructor(server: LocalServer) {
    this.#server = server;
  }

  static async start(log: (line: string) => void): Promise<WorkerdBoots> {
    return new WorkerdBoots(await LocalServer.start({ log }));
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }

  /** Posts the fixture's files and waits for the verdict, which must be pass. */
  async boot(fixture: PreparedFixture, { mode, cmdline = fixture.cmdline }: BootMode): Promise<WorkerdBoot> {
    const { memoryMiB: memory, expect, kernelPath, initrdPath } = fixture;
    const form = new FormData();
    form.set("kernel", new File([readFileSync(kernelPath)], "kernel"));
    if (initrdPath !== undefined) form.set("initrd", new File([readFileSync(initrdPath)], "initrd"));
    form.set("config", JSON.stringify({ mode, cmdline, memory, expect }));

    const client = this.#server.client();
    const decoder = new TextDecoder();
    let consoleText = "";
    const cpuBefore = processSeconds(this.#server.workerd());
    const start = performance.now();
    const posted = await client.request("/jobs", { method: "POST", body: form });
    const { id } = (await posted.json()) as JobView;
    const job = await client.followConsole(id, (bytes) => {
      consoleText += decoder.decode(bytes, { stream: true });
    });
    const seconds = (performance.now() - start) / 1000;
    const cpu = processSeconds(this.#server.workerd());
    const cpuSeconds = cpu === undefined || cpuBefore === undefined ? undefined : cpu - cpuBefore;
    if (job.verdict !== "pass") {
      throw new Error(`${fixture.name}: ${job.verdict}, ${job.reason}\n${consoleText.slice(-2000)}`);
    }
    const statistics = await client.request(`/jobs/${id}/hypercalls`);
    const { totals } = (await statistics.json()) as HypercallStatistics;
    return { seconds, cpuSeconds, instructions: job.instructions, hypercalls: totals };
  }
}
