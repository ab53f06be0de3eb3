import { describe, expect, it } from "vitest";
import {
  connectionsNeeded,
  MAX_CONNECTIONS,
  MOST_BACKENDS,
  POOL_OF_ONE,
  poolOfEach,
  RESERVED_CONNECTIONS,
} from "../../../shared/connections.ts";
import { problemsOf, settingsOf } from "../../support/stack/parsed-settings.ts";

describe("how many backends there are", () => {
  it("is one, unless it is said otherwise", () => {
    expect(settingsOf({}).backends).toBe(1);
    expect(settingsOf({ backends: "3", httpAddress: "0.0.0.0" }).backends).toBe(3);
  });

  it("is more than one only where their port may be open to the network, because a swarm opens it there", () => {
    expect(problemsOf({ backends: "2" })).toBe(
      [
        "budgie:backends is 2, and budgie:httpAddress is 127.0.0.1. A swarm publishes the port of several backends on every address of its machines, and on no single one.",
        "  allowed: 0.0.0.0, which lets the whole network in, where budgie:backends is more than 1",
        "  type:    npm run pulumi -- config set budgie:httpAddress 0.0.0.0     # or: npm run pulumi -- config set budgie:backends 1",
      ].join("\n"),
    );
    expect(problemsOf({ backends: "1", httpAddress: "10.0.0.5" })).toBe("");
  });

  it("is refused with the numbers where the database has not enough connections for them", () => {
    const said = problemsOf({ backends: String(MOST_BACKENDS + 1), httpAddress: "0.0.0.0" });
    expect(said).toContain(`budgie:backends is "${MOST_BACKENDS + 1}".`);
    expect(said).toContain(`a whole number from 1 to ${MOST_BACKENDS}.`);
    expect(said).toContain("80 connections that PostgreSQL has for them (100, less 20");
  });
});

describe("the connections of each backend", () => {
  const all = Array.from({ length: MOST_BACKENDS - 1 }, (_, at) => at + 2);

  it.each(all)("of %i leave room for an update's one more, for backups and for an operator", backends => {
    expect((backends + 1) * poolOfEach(backends) + RESERVED_CONNECTIONS).toBeLessThanOrEqual(MAX_CONNECTIONS);
    expect(connectionsNeeded(backends)).toBeLessThanOrEqual(MAX_CONNECTIONS);
    expect(poolOfEach(backends)).toBeGreaterThanOrEqual(4);
    expect(poolOfEach(backends)).toBeLessThanOrEqual(POOL_OF_ONE);
  });
});
