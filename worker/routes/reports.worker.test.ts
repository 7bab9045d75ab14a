import { describe, expect, test } from "vitest";
import { createJob, endOf, errorOf, request } from "../testing/client.ts";
import { ENDLESS, UNLIMITED } from "../testing/endless.ts";
import type { Script } from "../testing/scripted-machine.ts";

/*
 * Reports over HTTP, in workerd: each format from the job's own console, with its media type. What is in them is tested in
 * jobs/report; here it is that the route gives the right job's, whole, and says so when there is none.
 */

const OOPS: Script = {
  name: "reports",
  events: [
    { at: 1_000_000, print: "[    0.000000] Linux version 6.1.0 (x)\n[    1.000000] BUG: kernel NULL poin" },
    {
      at: 2_000_000,
      print: "ter dereference, address: 0000000000000008\n[    1.000001] RIP: 0010:bad_fn+0x1/0x2\n",
    },
    { at: 3_000_000, print: "TAP version 13\n1..2\nok 1 first\nnot ok 2 <second> & more\n" },
    { at: 4_000_000, end: { kind: "shutdown", reason: "poweroff", code: 0 } },
  ],
};

async function reportOf(id: string, report: string): Promise<{ type: string | null; text: string }> {
  const response = await request(`/jobs/${id}/${report}`);
  expect(response.status).toBe(200);
  return { type: response.headers.get("content-type"), text: await response.text() };
}

describe("a job's reports", () => {
  test("say what its console said, in every format", async () => {
    const { id } = await createJob(OOPS, { labels: { name: "my kernel", branch: "main" } });
    // It powered off politely, and is a crash all the same.
    expect(await endOf(id)).toMatchObject({
      verdict: "crash",
      state: "crashed",
      milestones: { "linux-version": { instructions: 1_000_000 } },
    });
    const title = "BUG: kernel NULL pointer dereference in bad_fn";

    const json = await reportOf(id, "report.json");
    expect(json.type).toBe("application/json; charset=utf-8");
    expect(JSON.parse(json.text)).toMatchObject({
      verdict: "crash",
      jobs: [
        {
          id,
          reasonCode: "oops",
          reason: title,
          findings: [{ code: "oops" }, { code: "tests-failed" }, { code: "powered-off" }],
          labels: { branch: "main" },
          mode: "pv",
          cpu: "v2",
          url: `http://worker/jobs/${id}`,
          events: [{ kind: "oops", title }],
          tests: { counts: { pass: 1, fail: 1 } },
        },
      ],
    });

    const xml = await reportOf(id, "report.xml");
    expect(xml.type).toBe("application/xml; charset=utf-8");
    expect(xml.text).toContain('<testcase name="my kernel" classname="boot"');
    expect(xml.text).toContain('name="&#60;second&#62; &#38; more"');

    const ktap = await reportOf(id, "report.ktap");
    expect(ktap.type).toBe("text/plain; charset=utf-8");
    expect(ktap.text).toMatch(/^KTAP version 1\n1\.\.3\n/);
    expect(ktap.text).toContain("\nnot ok 3 <second> & more\n");

    const kcidb = await reportOf(id, "report.kcidb");
    expect(JSON.parse(kcidb.text)).toMatchObject({
      version: { major: 5 },
      issues: [{ report_subject: title }],
    });

    const markdown = await reportOf(id, "report.md");
    expect(markdown.type).toBe("text/markdown; charset=utf-8");
    expect(markdown.text).toContain(`\`${title}\``);

    const badge = await reportOf(id, "badge.svg");
    expect(badge.type).toBe("image/svg+xml; charset=utf-8");
    expect(badge.text).toContain("<title>my kernel: crash</title>");
  });

  test("of a running job say that it runs", async () => {
    const { id } = await createJob({ ...ENDLESS, name: "reports-running" }, UNLIMITED);
    expect((await reportOf(id, "badge.svg")).text).toMatch(/<title>boot: (queued|building|running)<\/title>/);
    expect(JSON.parse((await reportOf(id, "report.json")).text)).toMatchObject({ verdict: "running" });
    await request(`/jobs/${id}`, { method: "DELETE" });
    expect((await reportOf(id, "badge.svg")).text).toContain("<title>boot: canceled</title>");
  });

  test("that there are none of are refused, with what there is", async () => {
    const { id } = await createJob(OOPS);
    const unknown = await request(`/jobs/${id}/report.pdf`);
    expect(unknown.status).toBe(404);
    expect(await errorOf(unknown)).toMatchObject({
      code: "no-report",
      message: expect.stringContaining("report.xml"),
    });
    const nobody = "0".repeat(32);
    for (const path of ["report.json", "report.xml", "badge.svg"]) {
      const response = await request(`/jobs/${nobody}/${path}`);
      expect([path, response.status]).toEqual([path, 404]);
      expect(await errorOf(response)).toMatchObject({ code: "no-job" });
    }
    await request(`/jobs/${id}`, { method: "DELETE" });
  });

  test("need the token; the API's description does not", async () => {
    const anonymous = { headers: { authorization: "" } };
    expect((await request(`/jobs/${"0".repeat(32)}/report.json`, anonymous)).status).toBe(401);
    const description = await request("/openapi.json", anonymous);
    expect(description.status).toBe(200);
    expect(await description.json()).toMatchObject({
      openapi: "3.1.0",
      paths: { "/jobs/{id}/report.xml": {} },
    });
  });
});
