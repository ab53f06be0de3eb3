import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { LINES } from "../../../shared/status-lines.ts";

const runbook = await readFile("docs/runbook.md", "utf8");
const rows = new Map(
  runbook
    .split("\n")
    .filter(line => line.startsWith("| "))
    .map(line => line.split("|").map(cell => cell.trim()))
    .map(([, name = "", means = "", type = ""]) => [name, { means, type }]),
);

it.each(Object.values(LINES))("the line %j of the status has an entry, with what to type", line => {
  expect(rows.get(line)).toEqual({ means: expect.stringMatching(/\w/), type: expect.stringMatching(/\w/) });
});

it("so has every alert of Prometheus, and no other is there", async () => {
  const rules = parse(await readFile("docs/monitoring/alerts.yml", "utf8")) as {
    groups: { rules: { alert: string }[] }[];
  };
  const alerts = rules.groups.flatMap(group => group.rules.map(({ alert }) => alert));
  expect([...rows.keys()].filter(name => name.startsWith("Budgie")).sort()).toEqual(alerts.sort());
});

it("every chapter of the guide that it names is there", async () => {
  const guide = await readFile("docs/guide.md", "utf8");
  const anchors = [...guide.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .replace(/ /g, "-"),
  );
  const named = [...runbook.matchAll(/guide\.md#([\w-]+)/g)].map(([, anchor]) => anchor);
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter(anchor => !anchors.includes(anchor ?? ""))).toEqual([]);
});
