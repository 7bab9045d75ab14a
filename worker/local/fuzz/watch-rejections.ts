/** Logs rejections that nobody handles, which the runtime keeps to itself. */
addEventListener("unhandledrejection", ({ reason }) => {
  console.error(`unhandled rejection: ${reason instanceof Error ? reason.stack : String(reason)}`);
});
