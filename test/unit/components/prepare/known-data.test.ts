import { describe, expect, it } from "vitest";
import {
  type KnownData,
  otherDataProblem,
  rememberedData,
} from "../../../../components/prepare/known-data.ts";
import type { StackState } from "../../../../components/prepare/stack-state.ts";

const urn = "urn:pulumi:dev::budgie::pulumi:index:Stash::data";
const known: KnownData = {
  volume: "budgie-postgres-data",
  namePrefix: "budgie",
  databaseName: "budgie_dev",
  majorVersion: "16",
};
const problemOf = (change: Partial<KnownData>) =>
  otherDataProblem({ data: known, urn }, { ...known, ...change }, "dev");
const stateWith = (input: unknown): StackState => ({
  resource: (type, name) =>
    type === "pulumi:index:Stash" && name === "data" ? { urn, outputs: { input } } : undefined,
});

describe("what the state remembers of the data", () => {
  it("is nothing before the database has answered for the first time", () => {
    expect(rememberedData({ resource: () => undefined })).toBeUndefined();
  });

  it("that cannot be read is refused: unknown is failure", () => {
    expect(() => rememberedData(stateWith({ ...known, volume: 7 }))).toThrow(
      `npm run pulumi -- state delete '${urn}'`,
    );
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
        "  npm run pulumi -- config set budgie:namePrefix budgie",
        "To move the data, through a backup that is taken now, into a volume of its own (the old volume stays as it is):",
        "  npm run pulumi -- destroy",
        "  npm run pulumi -- up     # stops before the API writes: the new database is not the one that the backup came from",
        "  npx budgie restore latest",
        "  npm run pulumi -- up",
        "To leave the data where it is and begin without:",
        `  npm run pulumi -- state delete '${urn}'     # DANGER: the next up makes an empty database`,
      ].join("\n"),
    );
  });

  it("another database's name", () => {
    const problem = problemOf({ databaseName: "ledger" });
    expect(problem).toContain(
      "It is in the database budgie_dev; budgie:databaseName means another one, ledger.",
    );
    expect(problem).toContain("  npm run pulumi -- config set budgie:databaseName budgie_dev\n");
    expect(problem).toContain(
      "  npm run pulumi -- destroy\n  npm run pulumi -- config set budgie:namePrefix budgie-2\n  npm run pulumi -- up ",
    );
    expect(problem, "the old volume is the new one's").not.toContain("state delete");
  });

  it("a newer major version of PostgreSQL, with the command that moves the data into it", () => {
    expect(problemOf({ majorVersion: "17" })).toBe(
      [
        "The data of stack dev would be left behind. Nothing was changed.",
        "  It was written by PostgreSQL 16; PostgreSQL 17, which budgie:postgresVersion names, cannot open it.",
        "Back to the data:",
        "  npm run pulumi -- config set budgie:postgresVersion 16",
        "To move the data into the newer version, through a backup that is taken now; the old data stays whole beside it:",
        "  npx budgie upgrade",
      ].join("\n"),
    );
  });

  it("an older major version, with the command that goes back from an upgrade", () => {
    const problem = problemOf({ majorVersion: "15" });
    expect(problem).toContain("  npx budgie upgrade --undo");
    expect(problem).not.toContain("through a backup");
  });

  it("several at once, in one message", () => {
    const problem = problemOf({ namePrefix: "home", volume: "home-postgres-data", databaseName: "ledger" });
    expect(problem).toContain(
      "  npm run pulumi -- config set budgie:namePrefix budgie\n  npm run pulumi -- config set budgie:databaseName budgie_dev\n",
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

describe("a database that Amazon runs instead of a container, or the other way round,", () => {
  it("is refused with the way through a backup", () => {
    expect(problemOf({ volume: "rds:budgie-db" })).toBe(
      [
        "The data of stack dev would be left behind. Nothing was changed.",
        "  It is in the volume budgie-postgres-data; budgie:database rds means another server, with Amazon's database budgie-db.",
        "Back to the data:",
        "  npm run pulumi -- config set budgie:database container",
        "To move the data, through a backup that is taken now (the old database stays as it is; docs/managed-database.md has the way that stands still for seconds):",
        "  npm run pulumi -- destroy",
        "  npm run pulumi -- up     # stops before the API writes: the new database is not the one that the backup came from",
        "  npx budgie restore latest",
        "  npm run pulumi -- up",
        "To leave the data where it is and begin without:",
        `  npm run pulumi -- state delete '${urn}'     # DANGER: the next up makes an empty database`,
      ].join("\n"),
    );
    const managed = { ...known, volume: "aurora:budgie-db" };
    expect(otherDataProblem({ data: managed, urn }, known, "dev")).toContain(
      "It is in Amazon's database budgie-db; budgie:database container means another server, with the volume budgie-postgres-data.\n" +
        "Back to the data:\n  npm run pulumi -- config set budgie:database aurora",
    );
  });

  it("keeps its version meanwhile", () => {
    const problem = problemOf({ volume: "rds:budgie-db", majorVersion: "17" });
    expect(problem).toContain("go back to its version of PostgreSQL first");
    expect(problem).not.toContain("docker exec");
  });

  it("is upgraded by Amazon, and the state is told", () => {
    const managed = { ...known, volume: "rds:budgie-db" };
    const problem = otherDataProblem({ data: managed, urn }, { ...managed, majorVersion: "17" }, "dev");
    expect(problem).toContain(`npm run pulumi -- state delete '${urn}'`);
    expect(problem).not.toContain("npx budgie upgrade");
  });
});
