/** `npm start`: `xenner run` with a worker of its own. START_HELP in cli/job-options.ts is its manual. */
import { runCommand } from "./cli/run.ts";
import { endWithOutput } from "./cli/signals.ts";

endWithOutput();
process.exitCode = await runCommand(process.argv.slice(2), "npm start --");
