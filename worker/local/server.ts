import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import type { PreparedFixture } from "../../r2-fixtures/index.ts";
import { fixtureKey, type StoredFixture } from "../blobs/fixtures.ts";
import { bundleWorker, MODULES_ROOT } from "./bundle.ts";
import { Client } from "./client.ts";
import { IsolateInspector } from "./inspector.ts";
import { newToken } from "./kept-token.ts";
import { WorkerdGuard, workerdChildren } from "./workerd-guard.ts";

const HOST = "127.0.0.1";
const WORKER_NAME = "xenner";
/** As in wrangler.toml; a test compares them. */
export const COMPATIBILITY = {
  date: "2026-08-01",
  flags: ["nodejs_compat", "global_fetch_strictly_public"],
} as const;

/** All jobs share one isolate here, which has room for one guest: a second is being built, or waits for its storage, meanwhile. */
const BATCH_CONCURRENCY = "2";
const PUBLIC_NETWORK = ["public"] as const;
const QUEUE = "xenner-work";
/** As in wrangler.toml, but for the wait: nobody shares this one. */
const QUEUE_CONSUMER = { maxBatchSize: 10, maxBatchTimeout: 0.1, maxRetries: 20 } as const;

export interface ServerOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** Where jobs and blobs are kept; without it, in a temporary directory that goes with the server. */
  readonly directory?: string;
  /** Default: a random one. */
  readonly token?: string;
  /** Another worker's entry instead of worker/index.ts: tests have one whose guests are scripts. */
  readonly entry?: string;
  /** Variables of the worker: see settings.ts. */
  readonly variables?: Readonly<Record<string, string>>;
  /** What addresses that NOTIFY_ALLOW exempts may lead to, as workerd's Network has it ("public", "10.0.0.0/8"); default: public addresses. */
  readonly network?: readonly string[];
  /** Whether the runtime's inspector listens, for `heap`. */
  readonly inspect?: boolean;
  /** What the worker logs, line by line. */
  readonly log?: (line: string) => void;
}

/** Connections to these addresses and no others, refused when they are made. */
function networkOf(allow: readonly string[]) {
  return { network: { allow: [...allow], tlsOptions: { trustBrowserCas: true } } };
}

/** This worker in a workerd on this machine, reachable on the loopback interface only. */
export class LocalServer {
  readonly url: string;
  readonly token: string;
  readonly #miniflare: Miniflare;
  readonly #guard: WorkerdGuard;
  readonly #temporary: string | undefined;

  private constructor(
    url: string,
    token: string,
    miniflare: Miniflare,
    guard: WorkerdGuard,
    temporary: string | undefined,
  ) {
    this.url = url;
    this.token = token;
    this.#miniflare = miniflare;
    this.#guard = guard;
    this.#temporary = temporary;
  }

  static async start(options: ServerOptions = {}): Promise<LocalServer> {
    const modules = await bundleWorker(options.entry);
    const temporary = options.directory === undefined ? await mkdtemp(join(tmpdir(), "xenner-")) : undefined;
    const directory = options.directory ?? temporary ?? "";
    await mkdir(directory, { recursive: true });
    const token = options.token ?? newToken();
    const guard = new WorkerdGuard(temporary);
    const handlersBefore = signalHandlers();
    const watch = (): void => {
      for (const pid of workerdChildren()) guard.watch(pid);
    };
    try {
      const miniflare = new Miniflare(
        convertV4MiniflareOptions({
          host: HOST,
          port: options.port ?? 0,
          ...(options.inspect === true && { inspectorPort: 0 }),
          cf: false,
          telemetry: { enabled: false },
          log: new Log(LogLevel.NONE),
          handleStructuredLogs: ({ message }) => options.log?.(message),
          unsafeHandleRuntimeRestart: watch,
          resourcePersistencePath: directory,
          workers: [
            {
              name: WORKER_NAME,
              modules: modules.map((module) => ({ ...module })),
              modulesRoot: MODULES_ROOT,
              compatibilityDate: COMPATIBILITY.date,
              compatibilityFlags: [...COMPATIBILITY.flags],
              // As on Cloudflare, nothing goes to a private address: not even to one that a name was given a moment ago.
              serviceBindings: {
                EGRESS: networkOf(PUBLIC_NETWORK),
                EGRESS_EXEMPT: networkOf(options.network ?? PUBLIC_NETWORK),
              },
              bindings: { BATCH_CONCURRENCY, ...options.variables, TOKEN: token },
              durableObjects: {
                JOB_RUNNER: { className: "JobRunner", useSQLite: true },
                REGISTER: { className: "Register", useSQLite: true },
                BATCH: { className: "Batch", useSQLite: true },
                DISPATCHER: { className: "Dispatcher", useSQLite: true },
                NOTIFIER: { className: "Notifier", useSQLite: true },
                HOOKS: { className: "Hooks", useSQLite: true },
              },
              r2Buckets: { BLOBS: "xenner-blobs" },
              d1Databases: { DB: "xenner" },
              queueProducers: { WORK_QUEUE: { queueName: QUEUE } },
              queueConsumers: { [QUEUE]: { ...QUEUE_CONSUMER } },
            },
          ],
        }),
      );
      // Miniflare ends the process on a signal, before a job could be canceled; signals are the commands' business here.
      removeSignalHandlersBut(handlersBefore);
      const url = (await miniflare.ready).origin;
      watch();
      return new LocalServer(url, token, miniflare, guard, temporary);
    } catch (error) {
      guard.end();
      throw error;
    }
  }

  /** A client for this server. */
  client(): Client {
    return new Client(this.url, this.token);
  }

  /** Makes a prepared fixture known to the worker by its name. */
  async storeFixture(fixture: PreparedFixture): Promise<void> {
    const bucket = await this.#miniflare.getR2Bucket("BLOBS");
    const client = this.client();
    const kernel = await client.putFile(fixture.kernelPath);
    const initrd = fixture.initrdPath === undefined ? undefined : await client.putFile(fixture.initrdPath);
    const stored: StoredFixture = {
      name: fixture.name,
      kernel: { sha256: kernel },
      ...(initrd === undefined ? {} : { initrd: { sha256: initrd } }),
      defaults: {
        cmdline: fixture.cmdline,
        memory: fixture.memoryMiB,
        ...(fixture.mode === undefined ? {} : { mode: fixture.mode }),
        expect: fixture.expect,
      },
    };
    await bucket.put(fixtureKey(fixture.name), JSON.stringify(stored));
  }

  /** The workerd that serves now; it changes when one dies and Miniflare starts another. */
  workerd(): number | undefined {
    return workerdChildren().at(-1);
  }

  /** A connection to the inspector of the worker's isolate; only with the option `inspect`. */
  async inspector(): Promise<IsolateInspector> {
    return IsolateInspector.connect(await this.#miniflare.getInspectorURL(), WORKER_NAME);
  }

  async stop(): Promise<void> {
    await this.#miniflare.dispose();
    this.#guard.end();
    if (this.#temporary !== undefined) await rm(this.#temporary, { recursive: true, force: true });
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function signalHandlers(): ReadonlySet<unknown> {
  return new Set(SIGNALS.flatMap((signal) => process.listeners(signal)));
}

function removeSignalHandlersBut(kept: ReadonlySet<unknown>): void {
  for (const signal of SIGNALS) {
    for (const handler of process.listeners(signal)) {
      if (!kept.has(handler)) process.off(signal, handler);
    }
  }
}
