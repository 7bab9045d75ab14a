import { main } from "./main.ts";
import { endWithOutput } from "./signals.ts";

endWithOutput();
process.exitCode = await main(process.argv.slice(2));
