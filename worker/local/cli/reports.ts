import { writeFile } from "node:fs/promises";
import type { Client } from "../client.ts";
import type { WantedReport } from "./job-options.ts";

/** Writes reports of a job or batch, at this path of the API, to files. */
export async function writeReports(
  client: Client,
  path: string,
  reports: readonly WantedReport[],
): Promise<void> {
  for (const { format, path: file } of reports) {
    const { body } = await client.request(`${path}/report.${format}`);
    await writeFile(file, body ?? []);
  }
}
