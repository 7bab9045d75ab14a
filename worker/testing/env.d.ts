/// <reference types="@cloudflare/vitest-plugin/types" />

declare namespace Cloudflare {
  interface Env {
    readonly JOB_RUNNER: import("../env.ts").Env["JOB_RUNNER"];
    readonly REGISTER: import("../env.ts").Env["REGISTER"];
    readonly BATCH: import("../env.ts").Env["BATCH"];
    readonly DISPATCHER: import("../env.ts").Env["DISPATCHER"];
    readonly NOTIFIER: import("../env.ts").Env["NOTIFIER"];
    readonly HOOKS: import("../env.ts").Env["HOOKS"];
    readonly BLOBS: R2Bucket;
    readonly DB: D1Database;
    readonly WORK_QUEUE: import("../env.ts").Env["WORK_QUEUE"];
    readonly TOKEN: string;
  }
  interface GlobalProps {
    mainModule: typeof import("./index.ts");
  }
}
