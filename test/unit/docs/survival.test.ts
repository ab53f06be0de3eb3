import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { SURVIVAL } from "../../../agent/show/survival.ts";

it("the status page says of each case what the guide says", () => {
  const guide = readFileSync("docs/guide.md", "utf8");
  const [, table = ""] = /## What survives what\n\n((?:\|.*\n)+)/.exec(guide) ?? [];
  const rows = table
    .trim()
    .split("\n")
    .slice(2)
    .map(row => row.split("|").map(cell => cell.trim()))
    .map(([, you, , data = ""]) => ({ you, data: /stays|replaced|gone/.exec(data)?.[0] }));
  expect(SURVIVAL.map(({ you, data }) => ({ you, data }))).toEqual(rows);
});
