import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findMessages } from "../../support/messages/find-messages.ts";
import { MESSAGES_PAGE, messagesPage } from "../../support/messages/page.ts";

const messages = findMessages();

it("docs/messages.md is what the program says; `npm run messages:page` makes it so", () => {
  expect(readFileSync(MESSAGES_PAGE, "utf8")).toBe(messagesPage());
});

describe("every message", () => {
  it("of npx budgie and of a step says what to type next", () => {
    const silent = messages.filter(({ file, next }) => next === null && !file.startsWith("toolchain/"));
    expect(silent).toEqual([]);
  });

  it("writes Pulumi's commands in the form that works on a machine without a pulumi of its own", () => {
    const bare = /(?<!npm run )\bpulumi (?:up|destroy|config|state|refresh|cancel)\b/;
    const wrong = messages.filter(({ text, next }) => bare.test(`${text} ${next}`));
    expect(wrong).toEqual([]);
  });

  it("names only npm scripts and npx budgie commands that there are", () => {
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: object };
    const named = messages.flatMap(({ text, next }) =>
      [...`${text} ${next}`.matchAll(/npm run (?:-s )?([\w:-]+)/g)].map(([, name]) => name ?? ""),
    );
    expect(named.filter(name => !Object.hasOwn(scripts, name))).toEqual([]);
    const program = readFileSync("scripts/budgie.ts", "utf8");
    const commands = messages.flatMap(({ text, next }) =>
      [...`${text} ${next}`.matchAll(/npx budgie ([a-z][\w-]*)/g)].map(([, name]) => name ?? ""),
    );
    expect([...new Set(commands)].filter(name => !program.includes(`"${name}"`))).toEqual([]);
  });
});
