import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { LoadError } from "../engine/loader/errors.ts";
import { API_VERSION, openApi } from "../jobs/openapi.ts";
import { SpecError } from "../jobs/spec-error.ts";
import { operationsAt } from "./api-operations.ts";
import { authenticate, requireScopeOfMethod } from "./auth/authenticate.ts";
import type { AppEnv } from "./env.ts";
import { errorBody, HttpError } from "./errors.ts";
import { type KernelCheck, refusalOf } from "./kernel-check.ts";
import { logEvent } from "./log.ts";
import { countRequests } from "./metrics/requests.ts";
import { pageRoutes } from "./pages/index.tsx";
import { sessions } from "./pages/session.ts";
import { knownParameters } from "./query-parameters.ts";
import { isBrokenOff, plainBodies } from "./request-body.ts";
import { adminRoutes } from "./routes/admin.ts";
import { badgeRoutes } from "./routes/badges.ts";
import { batchReportRoutes } from "./routes/batch-reports.ts";
import { batchRoutes } from "./routes/batches.ts";
import { blobRoutes } from "./routes/blobs.ts";
import { comparisonRoutes } from "./routes/comparison.ts";
import { batchDeliveryRoutes, deliveryRoutes, jobDeliveryRoutes } from "./routes/deliveries.ts";
import { docsRoutes } from "./routes/docs.tsx";
import { fixtureRoutes } from "./routes/fixtures.ts";
import { healthRoutes } from "./routes/health.ts";
import { hookAdminRoutes, hookRoutes, webhookSecretRoutes } from "./routes/hooks.ts";
import { jobListRoutes } from "./routes/job-list.ts";
import { jobRoutes } from "./routes/jobs.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { profileRoutes } from "./routes/profile.ts";
import { reportRoutes } from "./routes/reports.ts";
import { jobSnapshotRoutes, snapshotRoutes } from "./routes/snapshots.ts";
import { tokenRoutes } from "./routes/tokens.ts";
import { securityHeaders } from "./security-headers.ts";

/** The address of the API that somebody may have meant who wrote one with slashes or capitals too many. */
function nearAddress(path: string): string | undefined {
  const tidy = path.replace(/\/{2,}/g, "/").replace(/\/$/, "");
  return [tidy, tidy.toLowerCase()].find((near) => near !== path && operationsAt(near) !== undefined);
}

/** The HTTP face. `check` refuses kernels that cannot be booted, before a job is made of them. */
export function createApp(check: KernelCheck): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.use("*", countRequests, securityHeaders, plainBodies);
  app.use("/healthz", knownParameters);
  app.route("/", healthRoutes());
  app.route("/", metricsRoutes());
  app.get("/openapi.json", (context) => context.json(openApi(API_VERSION)));
  app.route("/docs", docsRoutes());
  app.use("*", sessions);
  app.route("/", pageRoutes(app));
  app.route("/hooks", hookRoutes());
  app.use("*", authenticate, requireScopeOfMethod, knownParameters);
  app.route("/jobs", jobListRoutes());
  app.route("/jobs", jobRoutes(check));
  app.route("/jobs", jobSnapshotRoutes());
  app.route("/jobs", reportRoutes());
  app.route("/jobs", comparisonRoutes());
  app.route("/badges", badgeRoutes());
  app.route("/jobs", profileRoutes());
  app.route("/batches", batchRoutes());
  app.route("/batches", batchReportRoutes());
  app.route("/jobs", jobDeliveryRoutes());
  app.route("/batches", batchDeliveryRoutes());
  app.route("/deliveries", deliveryRoutes());
  app.route("/hooks", hookAdminRoutes());
  app.route("/webhook-secrets", webhookSecretRoutes());
  app.route("/snapshots", snapshotRoutes());
  app.route("/blobs", blobRoutes());
  app.route("/fixtures", fixtureRoutes());
  app.route("/tokens", tokenRoutes());
  app.route("/admin", adminRoutes());

  app.notFound((context) => {
    const { method, path } = context.req;
    const known = operationsAt(path);
    if (known !== undefined && !known.has(method)) {
      // What GET answers is answered to HEAD, too, without its body.
      const allowed = [...known.keys()]
        .flatMap((one) => (one === "GET" ? ["GET", "HEAD"] : [one]))
        .join(", ");
      const message = `There is no ${method} ${path} here; this address takes ${allowed}.`;
      return context.json(errorBody("wrong-method", message), 405, { allow: allowed });
    }
    const near = nearAddress(path);
    const advice = near === undefined ? "; GET /docs lists what there is" : `, but there is ${near}`;
    const message = `There is no ${method} ${path} here${advice}.`;
    return context.json(errorBody("no-route", message), 404);
  });
  app.onError(async (error, context) => {
    if (error instanceof HttpError) {
      for (const [name, value] of Object.entries(error.headers)) context.header(name, value);
      return context.json(errorBody(error.code, error.message, error.field), error.status);
    }
    if (error instanceof SpecError)
      return context.json(errorBody(error.code, error.message, error.field), 400);
    if (error instanceof LoadError) {
      const { status, code, field, message } = refusalOf(error);
      return context.json(errorBody(code, message, field), status);
    }
    if (error instanceof HTTPException)
      return context.json(errorBody("bad-request", error.message), error.status);
    // Nobody is left to read this; but it is no failure of the worker's, and must not be counted as one.
    if (await isBrokenOff(context.req.raw.body))
      return context.json(errorBody("broken-off", "The body ended too early; send it again."), 400);
    logEvent("request.failed", {
      method: context.req.method,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    return context.json(
      errorBody("internal", "The worker failed to serve this request; it has been logged."),
      500,
    );
  });
  return app;
}
