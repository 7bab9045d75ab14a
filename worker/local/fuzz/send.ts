import { Agent, type IncomingMessage, request } from "node:http";
import type { FuzzRequest } from "./requests.ts";

/** What came back. */
export interface FuzzAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  /** Why there is no answer, or none that ended; undefined if there is. */
  readonly broken: string | undefined;
}

const ANSWER_MILLISECONDS = 30_000;
/** An answer that goes on as long as something happens is looked at for so long. */
const STREAM_MILLISECONDS = 1_000;
const BODY_BYTES = 1 << 20;

/** Sends requests as they are: node:http changes no path, and takes headers that fetch would not. */
export class Sender {
  readonly #url: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(url: string) {
    this.#url = new URL(url);
  }

  send({ method, path, headers, body }: FuzzRequest): Promise<FuzzAnswer> {
    const { hostname, port } = this.#url;
    const { promise, resolve } = Promise.withResolvers<FuzzAnswer>();
    const chunks: Buffer[] = [];
    let answer: IncomingMessage | undefined;
    const done = (broken?: string): void => {
      clearTimeout(timer);
      const status = answer?.statusCode ?? 0;
      const type = answer?.headers["content-type"] ?? "";
      resolve({ status, type, body: Buffer.concat(chunks).toString(), broken });
    };
    const timer = setTimeout(() => {
      done(`no end within ${ANSWER_MILLISECONDS / 1000} s`);
      outgoing.destroy();
    }, ANSWER_MILLISECONDS);
    const length = body === undefined ? {} : { "content-length": String(body.length) };
    const options = { hostname, port, method, path, headers: { ...length, ...headers }, agent: this.#agent };
    const outgoing = request(options, (response) => {
      answer = response;
      let size = 0;
      if (/[?&]follow/.test(path) || /event-stream/.test(response.headers["content-type"] ?? "")) {
        setTimeout(() => {
          done();
          outgoing.destroy();
        }, STREAM_MILLISECONDS);
      }
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= BODY_BYTES) chunks.push(chunk);
      });
      response.on("end", () => done());
      // Who answers before all of the body came may close the connection, and the answer be lost with it: that is no fault.
      response.on("error", (error) =>
        done(outgoing.writableFinished ? `the answer was cut off: ${error.message}` : undefined),
      );
    });
    outgoing.on("upgrade", (_, socket) => {
      socket.destroy();
      done();
    });
    // An answer may come before all of the body was sent; whether it ends is seen by itself.
    outgoing.on("error", (error) => {
      if (answer === undefined) done(error.message);
    });
    outgoing.end(body);
    return promise;
  }

  close(): void {
    this.#agent.destroy();
  }
}
