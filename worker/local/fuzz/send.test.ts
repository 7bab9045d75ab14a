import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { Sender } from "./send.ts";

/* Answers that end, and one that breaks off in the middle: the fuzzer must not take that for all the worker had to say. */

test("an answer that is cut off is told from one that ended", async () => {
  const server = createServer((request, response) => {
    response.writeHead(200, { "content-length": "10" });
    if (request.url === "/whole") response.end("0123456789");
    else response.write("012", () => response.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const sender = new Sender(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    const ask = (path: string) =>
      sender.send({ method: "GET", path, headers: {}, body: undefined, operation: null, starts: false });
    expect(await ask("/whole")).toMatchObject({ status: 200, body: "0123456789", broken: undefined });
    expect(await ask("/half")).toMatchObject({ body: "012", broken: expect.stringMatching(/cut off/) });
  } finally {
    sender.close();
    server.close();
  }
});
