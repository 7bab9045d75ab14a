import { randomInt } from "node:crypto";
import { createServer } from "node:http";

/** A port that is free, and stays so: none of those that the system gives to whoever asks for any, or for an outgoing connection. */
export async function quietPort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 30_000);
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
