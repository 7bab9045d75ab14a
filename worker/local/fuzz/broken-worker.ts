/** A worker with one fault of each kind that the fuzzer is there to find. */
import "./watch-rejections.ts";

const DOCUMENT = {
  paths: Object.fromEntries(
    ["good", "throws", "rejects", "wordless", "other", "shape"].map((name) => [
      `/${name}`,
      {
        get: {
          responses: {
            "200": {
              content: {
                "application/json": {
                  schema: { type: "object", properties: { n: { type: "integer" } }, required: ["n"] },
                },
              },
            },
            "400": {},
          },
        },
      },
    ]),
  ),
  components: { schemas: {} },
};

export default {
  fetch(request: Request): Response | Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/openapi.json":
        return Response.json(DOCUMENT);
      case "/throws":
        throw new Error("thrown by a route");
      case "/rejects":
        void Promise.reject(new Error("nobody waits for this"));
        return Response.json({ n: 1 });
      case "/wordless":
        return new Response("no", { status: 400 });
      case "/other":
        return Response.json(
          { error: { code: "other", message: "This is not in the document." } },
          { status: 409 },
        );
      case "/shape":
        return Response.json({ n: "1" });
      case "/good":
        return Response.json({ n: 1 });
      default:
        return Response.json({ error: { code: "none", message: "Nothing is here." } }, { status: 404 });
    }
  },
};
