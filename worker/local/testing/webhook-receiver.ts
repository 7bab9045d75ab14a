/**
 * A receiver of events as others would write it, with the standardwebhooks package: `node webhook-receiver.ts PORT SECRET`. It answers 204
 * to what is signed, 400 to what is not, and prints a JSON line for each request.
 */
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const [port, secret] = process.argv.slice(2);
if (port === undefined || secret === undefined) throw new Error("usage: webhook-receiver.ts PORT SECRET");
const webhook = new Webhook(secret);

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (text: string) => {
    body += text;
  });
  request.on("end", () => {
    const headers = request.headers as Record<string, string>;
    try {
      const message = webhook.verify(body, headers);
      console.log(JSON.stringify({ id: headers["webhook-id"], path: request.url, message }));
      response.writeHead(204).end();
    } catch (error) {
      console.log(JSON.stringify({ id: headers["webhook-id"], path: request.url, error: String(error) }));
      response.writeHead(400).end();
    }
  });
});
server.listen(Number(port), "127.0.0.1", () => console.log(JSON.stringify({ listening: true })));
