import { expect, test } from "vitest";
import { metricsText } from "./text.ts";

/** The text format, by the letter of "Exposition formats": what is escaped, and how. */

test("names, types, labels and values are written as the format says", () => {
  const text = metricsText([
    { name: "a_total", type: "counter", help: 'a "b" \\ c\nd', samples: [{ value: 3 }] },
    { name: "b", type: "gauge", help: "B.", samples: [{ labels: { x: 'q"\\\n', y: "é" }, value: 0.25 }] },
    { name: "c", type: "gauge", help: "None.", samples: [] },
  ]);
  expect(text).toBe(
    [
      '# HELP a_total a "b" \\\\ c\\nd',
      "# TYPE a_total counter",
      "a_total 3",
      "# HELP b B.",
      "# TYPE b gauge",
      'b{x="q\\"\\\\\\n",y="é"} 0.25',
      "# HELP c None.",
      "# TYPE c gauge",
      "",
    ].join("\n"),
  );
});
