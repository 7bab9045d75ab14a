import { TOKEN_REQUEST } from "../schema/token.ts";
import {
  answer,
  errorAnswer,
  type Json,
  json,
  operation,
  reference,
  schemaOf,
  TOKEN_ERRORS,
} from "./parts.ts";

/** What only tokens with the scope admin may do, and how a token logs a browser in. */

const ADMIN_ERRORS: Json = { ...TOKEN_ERRORS, "403": errorAnswer("The token has not the scope admin.") };

export const TOKEN_PATHS: Json = {
  "/tokens": {
    get: operation("All tokens, with what their jobs take; never their texts.", {
      responses: { "200": answer("The tokens.", json(reference("Tokens"))), ...ADMIN_ERRORS },
    }),
    post: operation("Makes a token. Its text is in this answer, and nowhere else.", {
      requestBody: { required: true, content: json(schemaOf(TOKEN_REQUEST)) },
      responses: {
        "201": answer("The token, with its text in `token`.", json(reference("NewToken"))),
        "400": errorAnswer("The request is wrong; the message says which field, and what to do."),
        ...ADMIN_ERRORS,
        "409": errorAnswer("There are too many tokens."),
        "413": errorAnswer("The body is too large."),
      },
    }),
  },
  "/tokens/{id}": {
    parameters: [
      {
        name: "id",
        in: "path",
        required: true,
        description: "The token's id.",
        schema: { type: "string", pattern: "^[0-9a-f]{16}$" },
      },
    ],
    delete: operation("Removes a token; within ten seconds it is valid nowhere. Its jobs go on.", {
      responses: {
        "204": answer("It is gone."),
        ...ADMIN_ERRORS,
        "404": errorAnswer("There is no such token."),
        "503": errorAnswer("It is deleted, but a copy of it may still be taken until that could be removed."),
      },
    }),
  },
  "/login/links": {
    post: operation(
      "An address of the dashboard that logs a browser in with this token: once, within ten minutes.",
      {
        responses: { "201": answer("The address, in `url`.", json(reference("LoginLink"))), ...TOKEN_ERRORS },
      },
    ),
  },
  "/admin/repair": {
    get: operation("The repair of the index that is under way, or the last one.", {
      responses: {
        "200": answer("How it goes; null if there was none.", json(reference("LastRepair"))),
        ...ADMIN_ERRORS,
      },
    }),
    post: operation("Makes the index anew from the jobs.", {
      responses: { "202": answer("It has begun.", json(reference("Repair"))), ...ADMIN_ERRORS },
    }),
  },
};
