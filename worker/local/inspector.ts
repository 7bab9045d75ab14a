/** What an isolate holds, in bytes. Garbage that was not collected yet counts. */
export interface IsolateMemory {
  /** V8's heap, and the objects of the runtime that hang on it. */
  readonly heap: number;
  /** Array buffers. Those of WebAssembly memories are not among them. */
  readonly buffers: number;
}

/** V8's inspector of one worker's isolate: the Chrome DevTools protocol over a WebSocket. */
export class IsolateInspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
      if (id !== undefined) this.#waiting.get(id)?.(result);
    });
  }

  /** Connects to the worker of that name at Miniflare's inspector. */
  static async connect(inspector: URL, worker: string): Promise<IsolateInspector> {
    const socket = new WebSocket(`ws://${inspector.host}/core:user:${worker}`);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", () => reject(new Error(`no inspector at ${inspector.host}`)));
    });
    return new IsolateInspector(socket);
  }

  /** What the isolate holds now; answered between two events of the worker. */
  async memory(): Promise<IsolateMemory> {
    const usage = (await this.#call("Runtime.getHeapUsage")) as {
      totalSize: number;
      embedderHeapUsedSize: number;
      backingStorageSize: number;
    };
    return { heap: usage.totalSize + usage.embedderHeapUsedSize, buffers: usage.backingStorageSize };
  }

  close(): void {
    this.#socket.close();
  }

  #call(method: string): Promise<unknown> {
    const id = ++this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(id, (result) => {
        this.#waiting.delete(id);
        resolve(result);
      });
      this.#socket.send(JSON.stringify({ id, method }));
    });
  }
}
