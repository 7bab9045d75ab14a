import {
  answer,
  errorAnswer,
  JOB_ERRORS,
  JOB_ID,
  type Json,
  json,
  operation,
  query,
  reference,
  TOKEN_ERRORS,
  WIDE,
} from "./parts.ts";

/** What is told to others, and what others start. */

const BAD_REQUEST = errorAnswer("The request is wrong; the message says which field, and what to do.");
const LIMIT = query("limit", "Most of one page.", { type: "integer", minimum: 1, maximum: 500 });
const CURSOR = query("cursor", "The `next` of the page before.", { type: "string" });
const header = (name: string, description: string): Json => ({
  name,
  in: "header",
  required: true,
  description,
  schema: { type: "string" },
});

const HOOK_ANSWERS: Json = {
  "202": answer(
    "It was accepted, now or before (`duplicate`); `runs` says what is started by it.",
    json(reference("AcceptedHook")),
  ),
  "400": BAD_REQUEST,
  "401": errorAnswer("It is not signed with this worker's secret."),
  "404": errorAnswer("This worker takes no such deliveries."),
  "413": errorAnswer("The body is too large."),
  "422": errorAnswer("What it asks for cannot be run; the message says why."),
};

/** As GitHub sends events unless it is told to send JSON. */
const EVENT_FORM: Json = {
  type: "object",
  properties: { payload: { type: "string", description: "The event as JSON." } },
  required: ["payload"],
};

const SECRET_NAME: Json = {
  name: "name",
  in: "path",
  required: true,
  description: "What jobs call it in `notify`; the one named default is taken where they name none.",
  schema: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" },
};

export const HOOK_PATHS: Json = {
  "/jobs/{id}/deliveries": {
    parameters: [JOB_ID],
    get: operation(
      "What was told of the job to those in `notify`, and commit statuses: how each attempt went.",
      {
        responses: {
          "200": answer("The deliveries, oldest first.", json(reference("Deliveries"))),
          ...JOB_ERRORS,
        },
      },
    ),
  },
  "/batches/{id}/deliveries": {
    parameters: [{ ...JOB_ID, description: "The batch's id." }],
    get: operation("The same of a batch.", {
      responses: {
        "200": answer("The deliveries, oldest first.", json(reference("Deliveries"))),
        ...TOKEN_ERRORS,
        "404": errorAnswer("There is no such batch."),
      },
    }),
  },
  "/deliveries": {
    get: operation("The token's deliveries, newest first; an administrator's list has everybody's.", {
      parameters: [
        query("state", "Only those in this state.", {
          enum: ["pending", "delivered", "failed", "superseded"],
        }),
        LIMIT,
        CURSOR,
      ],
      responses: {
        "200": answer("A page.", json(reference("DeliveryPage"))),
        "400": BAD_REQUEST,
        ...TOKEN_ERRORS,
      },
    }),
  },
  "/deliveries/{id}/redeliver": {
    parameters: [
      {
        name: "id",
        in: "path",
        required: true,
        description: "The delivery's id.",
        schema: { type: "string" },
      },
    ],
    post: operation("Sends a delivery once more, now, under the same webhook-id.", {
      responses: {
        "202": answer("It will be sent.", json(reference("Delivery"))),
        ...TOKEN_ERRORS,
        "404": errorAnswer("There is no such delivery."),
      },
    }),
  },
  "/webhook-secrets": {
    get: operation("Names of the token's secrets.", {
      responses: { "200": answer("The names.", json(reference("WebhookSecrets"))), ...TOKEN_ERRORS },
    }),
  },
  "/webhook-secrets/{name}": {
    parameters: [SECRET_NAME],
    put: operation("Stores a secret that events are signed with. It cannot be read again.", {
      requestBody: {
        required: false,
        content: json({
          type: "object",
          properties: {
            secret: { type: "string", description: '"whsec_" and 24 to 64 bytes in base64.' },
          },
          additionalProperties: false,
        }),
      },
      responses: {
        "200": answer(
          "It was replaced. One that was made here is in the answer.",
          json(reference("WebhookSecret")),
        ),
        "201": answer(
          "It is new. One that was made here is in the answer.",
          json(reference("WebhookSecret")),
        ),
        "400": BAD_REQUEST,
        ...TOKEN_ERRORS,
        "409": errorAnswer("The token has too many."),
        "413": errorAnswer("The body is too large."),
      },
    }),
    delete: operation("Removes a secret. What is still to be signed with it fails.", {
      responses: {
        "204": answer("It is gone."),
        "400": BAD_REQUEST,
        ...TOKEN_ERRORS,
        "404": errorAnswer("There is no such secret."),
      },
    }),
  },
  "/hooks/github": {
    post: operation(
      "A GitHub webhook: push, workflow_run, release. What it starts, the configuration says.",
      {
        security: [],
        parameters: [
          header("X-Hub-Signature-256", "By the worker's secret GITHUB_WEBHOOK_SECRET."),
          header("X-GitHub-Event", "What happened."),
          header("X-GitHub-Delivery", "One that was seen before starts nothing."),
        ],
        requestBody: {
          required: true,
          content: { ...json(WIDE), "application/x-www-form-urlencoded": { schema: EVENT_FORM } },
        },
        responses: HOOK_ANSWERS,
      },
    ),
  },
  "/hooks/generic": {
    post: operation(
      'A POST /jobs or POST /batches with a Standard Webhooks signature for a token. kernel and initrd may be {"url": …} at one of the configuration\'s hosts.',
      {
        security: [],
        parameters: [
          header("webhook-id", "One that was seen before starts nothing."),
          header("webhook-timestamp", "Seconds since 1970, within five minutes of now."),
          header("webhook-signature", "By the worker's secret GENERIC_WEBHOOK_SECRET."),
        ],
        requestBody: { required: true, content: json(WIDE) },
        responses: HOOK_ANSWERS,
      },
    ),
  },
  "/hooks/config": {
    get: operation("What hooks start; for administrators.", {
      parameters: [query("version", "An older one.", { type: "integer", minimum: 1 })],
      responses: {
        "200": answer("The configuration, with its version.", json(reference("StoredHooksConfig"))),
        "400": BAD_REQUEST,
        ...TOKEN_ERRORS,
        "404": errorAnswer("There is none."),
      },
    }),
    put: operation("Sets it. If-Match with the ETag of the one that was read keeps another's change.", {
      requestBody: { required: true, content: json(WIDE) },
      responses: {
        "200": answer("The configuration, with its version.", json(reference("StoredHooksConfig"))),
        "400": BAD_REQUEST,
        ...TOKEN_ERRORS,
        "412": errorAnswer("It was changed meanwhile."),
        "413": errorAnswer("The body is too large."),
        "422": errorAnswer("It names an address from which nothing is fetched."),
      },
    }),
  },
  "/hooks/deliveries": {
    get: operation("What came, newest first, and what became of it; for administrators.", {
      parameters: [LIMIT, CURSOR],
      responses: {
        "200": answer("A page.", json(reference("HookPage"))),
        "400": BAD_REQUEST,
        ...TOKEN_ERRORS,
      },
    }),
  },
};
