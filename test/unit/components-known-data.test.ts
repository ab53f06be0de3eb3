import { describe, expect, it } from "vitest";
import { type KnownData, otherDataProblem, rememberedData } from "../../components/known-data.ts";
import type { OwnState } from "../../components/own-state.ts";

const urn = "urn:pulumi:dev::budgie::pulumi:index:Stash::data";
const known: KnownData = {
  volume: "budgie-postgres-data",
  namePrefix: "budgie",
  databaseName: "budgie_dev",
  majorVersion: "16",
};
const problemOf = (change: Partial<KnownData>) =>
  otherDataProblem({ data: known, urn }, { ...known, ...change }, "dev");
const stateWith = (input: unknown): OwnState => ({
  resource: (type, name) =>
    type === "pulumi:index:Stash" && name === "data" ? { urn, outputs: { input } } : undefined,
});

describe("what the state remembers of the data", () => {
  it("is nothing before the database has answered for the first time", () => {
    expect(rememberedData({ resource: () => undefined })).toBeUndefined();
  });

  it("that cannot be read is refused: unknown is failure", () => {
    expect(() => rememberedData(stateWith({ ...known, volume: 7 }))).toThrow(`pulumi state delete '${urn}'`);
  });

  it("agrees with settings that lead to the same data", () => {
    expect(rememberedData(stateWith(known))).toEqual({ data: known, urn });
    expect(problemOf({})).toBeUndefined();
  });
});

describe("settings that lead away from the data are refused with the way back and the way on:", () => {
  it("another prefix", () => {
    expect(problemOf({ namePrefix: "home", volume: "home-postgres-data" })).toBe(
      [
        "The data of stack dev would be left behind. Nothing was changed.",
        "  It is in the volume budgie-postgres-data; budgie:namePrefix home means another one, home-postgres-data.",
        "Back to the data:",
        "  pulumi config set budgie:namePrefix budgie",
        "To move the data, through a backup that is taken now, into a volume of its own (the old volume stays as it is):",
        "  pulumi destroy",
        "  pulumi up     # stops before the API writes: the new database is not the one that the backup came from",
        "  npx budgie restore latest",
        "  pulumi up",
        "To leave the data where it is and begin without:",
        `  pulumi state delete '${urn}'     # DANGER: the next pulumi up makes an empty database`,
      ].join("\n"),
    );
  });

  it("another database's name", () => {
    const problem = problemOf({ databaseName: "ledger" });
    expect(problem).toContain(
      "It is in the database budgie_dev; budgie:databaseName means another one, ledger.",
    );
    expect(problem).toContain("  pulumi config set budgie:databaseName budgie_dev\n");
    expect(problem).toContain(
      "  pulumi destroy\n  pulumi config set budgie:namePrefix budgie-2\n  pulumi up ",
    );
    expect(problem, "the old volume is the new one's").not.toContain("state delete");
  });

  it("another major version of PostgreSQL", () => {
    const problem = problemOf({ majorVersion: "17" });
    expect(problem).toContain("It was written by PostgreSQL 16; PostgreSQL 17");
    expect(problem).toContain(
      "docker exec -i budgie-2-db psql -X -q -v ON_ERROR_STOP=1 -U budgie_user budgie_dev < ",
    );
    expect(problem).toContain("npx budgie accept-database");
    expect(problem).not.toContain("restore latest");
  });

  it("several at once, in one message", () => {
    const problem = problemOf({ namePrefix: "home", volume: "home-postgres-data", databaseName: "ledger" });
    expect(problem).toContain(
      "  pulumi config set budgie:namePrefix budgie\n  pulumi config set budgie:databaseName budgie_dev\n",
    );
    expect(problem).not.toContain("budgie-2");
  });

  it("the prefix that they suggest is a valid and another one", () => {
    const suggested = (namePrefix: string) =>
      /namePrefix (\S+)/.exec(
        otherDataProblem(
          { data: { ...known, namePrefix }, urn },
          { ...known, namePrefix, databaseName: "x" },
          "dev",
        ) ?? "",
      )?.[1];
    expect(suggested("budgie-2")).toBe("budgie-3");
    expect(suggested("a".repeat(30))).toBe(`${"a".repeat(28)}-2`);
  });
});
