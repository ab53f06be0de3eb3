import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { PAGE, PLOT, readResults, withTable } from "../../../bench/plain-tools-page.ts";
import { plot } from "../../../bench/plain-tools-plot.ts";

it("the page and the plot show the results that are kept", async () => {
  const results = await readResults();
  expect(results.length).toBeGreaterThan(0);
  expect(await readFile(PAGE, "utf8"), "npm run bench plain-tools renews it").toBe(await withTable(results));
  expect(await readFile(PLOT, "utf8"), "npm run bench plain-tools renews it").toBe(plot(results));
});
