import { expect, test } from "vitest";
import { UPLOAD_LIMITS } from "../limits.ts";
import { createJob, errorOf, request } from "../testing/client.ts";

/*
 * Bodies that say nothing of their length and do not end, sent to the addresses that take JSON, in workerd: no more of one is read than
 * the address takes.
 */

const CHUNK_BYTES = 4096;
/** What the runtime itself reads ahead. */
const AHEAD_BYTES = 256 * 1024;
const MOST_BYTES = 16 * 1024 * 1024;

test("no more of a body is read than its address takes", async () => {
  const { id } = await createJob({
    events: [{ at: 1_000_000, end: { kind: "shutdown", reason: "poweroff", code: 0 } }],
  });
  for (const path of ["/tokens", `/jobs/${id}/snapshots`]) {
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        sent += CHUNK_BYTES;
        if (sent > MOST_BYTES) controller.close();
        else controller.enqueue(new Uint8Array(CHUNK_BYTES).fill(0x20));
      },
    });
    const response = await request(path, { method: "POST", body });
    expect([response.status, (await errorOf(response)).code], path).toEqual([413, "too-large"]);
    expect(sent, path).toBeLessThan(UPLOAD_LIMITS.jsonBytes + AHEAD_BYTES);
  }
});
