import { env } from "cloudflare:workers";
import { makeTables } from "../database/database.ts";

await makeTables(env);
