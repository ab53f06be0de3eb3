import { describe, expect, it } from "vitest";
import { firstStackName } from "../../../shared/first-stack-name.ts";

const DATA = "pulumi:index:Stash data";
const AGENT = "docker:index/container:Container backup-agent-container";
const stateWith = (known: Record<string, Record<string, unknown>>) => (type: string, name: string) =>
  known[`${type} ${name}`];
const labels = [
  { label: "budgie.prefix", value: "budgie" },
  { label: "budgie.stack", value: "dev" },
];

describe("what a stack was called when its data came to be", () => {
  it("is remembered beside its data, whatever later labels say", () => {
    const state = stateWith({ [DATA]: { input: { stack: "home" } }, [AGENT]: { labels } });
    expect(firstStackName(state)).toBe("home");
  });

  it("is on the agent's labels in states of before it was remembered", () => {
    const state = stateWith({ [DATA]: { input: { volume: "budgie-postgres-data" } }, [AGENT]: { labels } });
    expect(firstStackName(state)).toBe("dev");
  });

  it.each([
    ["an empty state", {}],
    ["an agent without labels", { [AGENT]: {} }],
    ["a memory of another kind", { [DATA]: { input: { stack: 7 } }, [AGENT]: { labels: [] } }],
  ])("is not known from %s", (_, known) => {
    expect(firstStackName(stateWith(known as Record<string, Record<string, unknown>>))).toBeUndefined();
  });
});
