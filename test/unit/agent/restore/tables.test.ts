import { describe, expect, it } from "vitest";
import { recordedRows } from "../../../../agent/restore/copy-tables.ts";
import type { TableShape } from "../../../../agent/restore/table-shape.ts";
import { type Found, nearNames, wantedTables } from "../../../../agent/restore/wanted-tables.ts";
import { EXIT } from "../../../../shared/exit-codes.ts";

const table = (schema: string, name: string, more: Partial<Found> = {}): Found => ({
  oid: `${schema}.${name}`,
  schema,
  name,
  quoted: name,
  qualified: `${schema}.${name}`,
  kind: "r",
  ofExtension: false,
  ...more,
});
const named = (found: Found[], ...typed: string[]) =>
  wantedTables(found, typed, "b.sql").map(({ qualified }) => qualified);

describe("the tables that are meant", () => {
  const found = [
    table("public", "users"),
    table("public", "Users"),
    table("public", "notes"),
    table("s", "notes"),
  ];

  it("are taken as they are spelled, before SQL's small letters", () => {
    expect(named(found, "Users")).toEqual(["public.Users"]);
    expect(named(found, "USERS")).toEqual(["public.users"]);
    expect(named(found, "S.NOTES")).toEqual(["s.notes"]);
  });

  it("are each copied once, however often they are named", () => {
    expect(named(found, "users", '"users"', "public.users")).toEqual(["public.users"]);
  });

  it.each<[Found, RegExp]>([
    [table("public", "x", { kind: "m" }), /materialized view/],
    [table("public", "x", { kind: "f" }), /foreign table/],
    [table("public", "x", { kind: "S" }), /sequence/],
    [table("public", "x", { ofExtension: true }), /extension/],
  ])("are no other relations: %#", (other, why) => {
    expect(() => named([other], "x")).toThrow(why);
    expect(() => named([other], "x")).toThrow(expect.objectContaining({ code: EXIT.unusableBackup }));
  });
});

describe("names that are near one that is not there", () => {
  it.each([
    ["usres", "public.users"],
    ["public.user", "public.users"],
    ["transaction", "public.transactions"],
    ['"Ledger"', "public.ledgers"],
  ])("%s: %s comes first", (typed, first) => {
    const tables = ["transactions", "ledgers", "users", "backend_migrations"].map(name =>
      table("public", name),
    );
    expect(nearNames(typed, tables)[0]).toBe(first);
  });
});

describe("the rows that a backup recorded of a table", () => {
  const shape = (...parts: string[]) => ({ parts }) as unknown as TableShape;
  const block = (name: string, rows: number) => ({ name, copy: "", rows, sha256: "" });
  const content = { tables: [block("public.p1", 2), block("public.p2", 3), block("public.t", 7)] };

  it("are those of all its partitions, and unknown where one is not recorded by itself", () => {
    expect(recordedRows(content, shape("public.t"))).toBe(7);
    expect(recordedRows(content, shape("public.p1", "public.p2"))).toBe(5);
    expect(recordedRows(content, shape("public.p1", "public.p3"))).toBeNull();
    expect(recordedRows(content, shape())).toBe(0);
  });
});
