/**
 * A local worker in a process of its own, to be killed: `node server-process.ts DIRECTORY TOKEN`. Its first line
 * is a JSON object with `url` and `workerd`, the process id; a further one comes when workerd was started again.
 */
import { LocalServer } from "../server.ts";

const WATCH_MILLISECONDS = 20;
const [directory, token] = process.argv.slice(2);
if (directory === undefined || token === undefined)
  throw new Error("usage: server-process.ts DIRECTORY TOKEN");

const server = await LocalServer.start({ directory, token, log: (line) => console.error(line) });
let told: number | undefined;
const tell = (): void => {
  const workerd = server.workerd();
  if (workerd === undefined || workerd === told) return;
  told = workerd;
  process.stdout.write(`${JSON.stringify({ url: server.url, workerd })}\n`);
};
tell();
setInterval(tell, WATCH_MILLISECONDS);
