import { describe, expect, it } from "vitest";
import { DumpReader } from "../../../../agent/dump/reader.ts";
import { SchemaCollector, schemaSql } from "../../../../agent/dump/schema.ts";
import { schemaDifferences } from "../../../../agent/load/schema-differences.ts";

const schemaOf = (dump: string) => {
  const schema = new SchemaCollector();
  const reader = new DumpReader(piece => schema.take(piece));
  reader.read(Buffer.from(dump));
  reader.end();
  return schema.finish();
};

const entry = (name: string, type: string, sql: string, more = "Owner: x") =>
  `--\n-- Name: ${name}; Type: ${type}; Schema: public; ${more}\n--\n\n${sql}\n\n\n`;

const HEAD = "SET client_encoding = 'UTF8';\n\n";
const TABLE = entry(
  "t1",
  "TABLE",
  "CREATE TABLE public.t1 (\n    s character varying(20),\n    CONSTRAINT t1_s_check CHECK ((a))\n);\n\n\nALTER TABLE public.t1 OWNER TO x;",
);
const INDEX = entry("t1i", "INDEX", "CREATE INDEX t1i ON public.t1 USING btree (s);");
const COMMENT = entry("TABLE t1", "COMMENT", "COMMENT ON TABLE public.t1 IS 'x';");

const between = (expected: string, found: string) =>
  schemaDifferences(schemaOf(HEAD + expected), schemaOf(HEAD + found));

describe("what two schemas do not have in common", () => {
  it("is nothing where only the order of the objects differs", () => {
    expect(between(TABLE + INDEX + COMMENT, COMMENT + TABLE + INDEX)).toEqual([]);
  });

  it.each<[string, string, string, string]>([
    [
      "a constraint",
      TABLE,
      TABLE.replace("CHECK ((a))", "CHECK ((b))"),
      "the constraint t1_s_check of public.t1: CONSTRAINT t1_s_check CHECK ((b)) instead of CONSTRAINT t1_s_check CHECK ((a))",
    ],
    [
      "a column",
      TABLE,
      TABLE.replace("varying(20)", "varying(21)"),
      "the column s of public.t1: s character varying(21) instead of s character varying(20)",
    ],
    ["a missing index", TABLE + INDEX, TABLE, "the index public.t1i is missing"],
    ["one too many", TABLE, TABLE + INDEX, "the index public.t1i is not in the backup"],
    [
      "another comment",
      COMMENT,
      COMMENT.replace("'x'", "'y'"),
      "the comment of TABLE t1: COMMENT ON TABLE public.t1 IS 'y' instead of COMMENT ON TABLE public.t1 IS 'x'",
    ],
    [
      "another owner",
      INDEX,
      INDEX.replace("Owner: x", "Owner: y"),
      "the index public.t1i: -- Owner: y instead of -- Owner: x",
    ],
    [
      "another tablespace",
      entry("t1i", "INDEX", "CREATE INDEX t1i;", "Owner: x; Tablespace: fast"),
      entry("t1i", "INDEX", "CREATE INDEX t1i;"),
      "the index public.t1i: -- Owner: x instead of -- Owner: x; Tablespace: fast",
    ],
    [
      "a key",
      entry("t1 t1_pkey", "CONSTRAINT", "ALTER TABLE ONLY public.t1 ADD CONSTRAINT t1_pkey PRIMARY KEY (s);"),
      "",
      "the constraint t1_pkey of public.t1 is missing",
    ],
  ])("names %s", (_what, expected, found, difference) => {
    expect(between(expected, found)).toEqual([difference]);
  });

  it("leaves data out, and remembers where sequences stand", () => {
    const data =
      "--\n-- Data for Name: t1; Type: TABLE DATA; Schema: public; Owner: x\n--\n\nCOPY public.t1 (s) FROM stdin;\na\n\\.\n\n\n" +
      entry("s", "SEQUENCE SET", "SELECT pg_catalog.setval('public.\"it''s\"', 7, true);");
    const schema = schemaOf(HEAD + TABLE + data);
    expect(schemaDifferences(schemaOf(HEAD + TABLE), schema)).toEqual([]);
    expect(schema.sequences).toEqual([{ name: 'public."it\'s"', value: "7", called: true }]);
    expect(schemaSql(schema).toString()).not.toContain("COPY");
  });

  it("refuses a statement that would take all memory", () => {
    const schema = new SchemaCollector();
    const bytes = Buffer.alloc(16 << 20, "x");
    const takeAll = () => {
      for (let part = 0; part < 9; part++) schema.take({ kind: "long", bytes });
    };
    expect(takeAll).toThrow("holds a statement of more than 128 MB");
  });

  it("keeps a setting with the object that it stands before", () => {
    const moved = `${entry("a", "TABLE", "CREATE TABLE public.a ();")}SET default_tablespace = fast;\n\n${entry("b", "TABLE", "CREATE TABLE public.b ();")}`;
    expect(schemaSql(schemaOf(HEAD + moved)).toString()).toBe(
      "SET client_encoding = 'UTF8';\nCREATE TABLE public.a ();\nSET default_tablespace = fast;\nCREATE TABLE public.b ();\n",
    );
  });
});
