import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DumpReader, type Piece } from "../../../../agent/dump/reader.ts";

/** What is read. Neighbouring rows are joined, because they may come in any pieces. */
const read = (dump: string, size = 1 << 20): string[] => {
  const found: string[] = [];
  const reader = new DumpReader((piece: Piece) => {
    const text = piece.bytes.toString();
    const said = piece.kind === "command" ? `command ${piece.line} ${piece.text}` : `${piece.kind} ${text}`;
    const last = found.at(-1);
    if (piece.kind === "rows" && last?.startsWith("rows ")) found[found.length - 1] = last + text;
    else if (piece.kind === "space" && last?.startsWith("space ")) found[found.length - 1] = last + text;
    else found.push(said);
  });
  const bytes = Buffer.from(dump);
  for (let at = 0; at < bytes.length; at += size) reader.read(bytes.subarray(at, at + size));
  reader.end();
  return found.filter(piece => !/^space \s*$/.test(piece));
};

const commandsIn = (sql: string) => read(sql).filter(piece => piece.startsWith("command "));

describe("a dump taken apart as psql would", () => {
  it.each([
    ["a shell command", "\\! id\n", "command 1 \\! id"],
    ["behind blanks", "  \t\\connect budgie_dev\n", "command 1 \\connect budgie_dev"],
    ["in the midst of a line", "SELECT 1; \\connect budgie_dev\n", "command 1 \\connect budgie_dev"],
    ["in the midst of a statement", "SELECT 1\n\\g |id\n", "command 2 \\g |id"],
    ["behind a quoted text", "SELECT 'a' \\gexec\n", "command 1 \\gexec"],
    ["behind a text that ends in a backslash", "SELECT 'a\\' \\! id\n", "command 1 \\! id"],
    ["behind an escaped quote", "SELECT E'a\\'b' \\! id\n", "command 1 \\! id"],
    ["behind a doubled quote in an escape string", "SELECT E'a''b\\'c' \\! id\n", "command 1 \\! id"],
    [
      "behind an escape string that goes on in the next line",
      "SELECT E'a'\n  'b\\'c' \\! id\n",
      "command 2 \\! id",
    ],
    ["behind a dollar quote that ends on its line", "SELECT $x$ ' $x$ \\! id\n", "command 1 \\! id"],
    ["behind a comment", "/* ' /* nested */ ' */ \\! id\n", "command 1 \\! id"],
    ["behind a line comment with a quote", "-- it's\n\\! id\n", "command 2 \\! id"],
    ["behind a quoted name", 'SELECT "a\'b" \\! id\n', "command 1 \\! id"],
    ["behind an empty tag", "SELECT $$'$$ \\! id\n", "command 1 \\! id"],
    ["behind a parameter", "SELECT $1 \\! id\n", "command 1 \\! id"],
    ["behind a name with a dollar sign", "SELECT a$b$ \\! id\n", "command 1 \\! id"],
    [
      "within a function in SQL",
      "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; \\! id\n",
      "command 1 \\! id",
    ],
    ["at the very end, without a line end", "SELECT 1; \\! id", "command 1 \\! id"],
    ["behind a number that runs into a text", "SELECT 1e'\\' \\! id\n", "command 1 \\! id"],
    ["behind a parameter that runs into a text", "SELECT $1e'\\' \\! id\n", "command 1 \\! id"],
  ])("sees psql's command %s", (_where, sql, command) => {
    expect(commandsIn(sql)).toEqual([command]);
  });

  it.each([
    ["a comment's text", "COMMENT ON TABLE t5 IS 'how to:\n\\c budgie_dev\ndone';\n"],
    ["a function's body", "CREATE FUNCTION f() AS $$\n\\! id\n$$ LANGUAGE sql;\n"],
    ["a body with another dollar quote in it", "CREATE FUNCTION f() AS $_$ $$ \\c x $$ $_$;\n"],
    ["an escape string", "COMMENT ON TABLE t IS E'it''s\\\\\n\\\\c x';\n"],
    ["a name", 'CREATE TABLE "a\n\\c b" (i int);\n'],
    ["a block comment", "/* \\! id */ SELECT 1;\n"],
    ["rows", "COPY public.t (a) FROM stdin;\n\\c x\n\\! id\n\\.\n"],
  ])("takes for text what is %s", (_where, sql) => {
    expect(commandsIn(sql)).toEqual([]);
  });

  it("takes table data for what it is whatever the table is called", () => {
    const copy = 'COPY public."we;\nird" ("a\nb", "FROM stdin;") FROM stdin;';
    expect(read(`${copy}\n1\t2\n\\N\t\\.\n\\.\nSELECT 1;\n`)).toEqual([
      `copy ${copy}\n`,
      "rows 1\t2\n\\N\t\\.\n",
      "end \\.\n",
      "statement SELECT 1;",
    ]);
  });

  it("takes no table data for what a function or a comment quotes", () => {
    const quoted =
      "\n-- Data for Name: x; Type: TABLE DATA; Schema: public; Owner: x\nCOPY public.x (a) FROM stdin;\n1\n\\.\n";
    for (const sql of [`CREATE FUNCTION f() AS $$${quoted}$$;`, `COMMENT ON TABLE t IS '${quoted}';`])
      expect(read(`${sql}\n`)).toEqual([`statement ${sql}`]);
  });

  it("keeps a function in SQL, and a rule, together", () => {
    const body =
      "CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;";
    const rule = "CREATE RULE r AS ON INSERT TO public.t DO ALSO (SELECT 1; SELECT 2);";
    expect(read(`${body}\n${rule}\n`)).toEqual([`statement ${body}`, `statement ${rule}`]);
  });

  it.each([
    "CREATE FUNCTION f() RETURNS date LANGUAGE sql BEGIN ATOMIC SELECT t.begin FROM t; SELECT begin AS atomic FROM t; END;",
    "CREATE FUNCTION f(begin date) RETURNS date LANGUAGE sql RETURN begin;",
    "CREATE PROCEDURE begin() LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN begin THEN 1 END FROM t; END;",
  ])("sees the end of a function that has something called begin in it: %s", sql => {
    expect(read(`${sql}\nSELECT 1;\n`)).toEqual([`statement ${sql}`, "statement SELECT 1;"]);
  });

  it.each([
    "COPY t FROM STDIN WITH (FORMAT csv);\n1\n\\.\n",
    "copy t from stdin;\n1\n\\.\n",
    "/* x */ COPY t FROM stdin;\n1\n\\.\n",
    "COPY public.t (a) FROM stdin; SELECT 1;\n\\.\n",
  ])("refuses table data that pg_dump does not write: %j", sql => {
    expect(() => read(sql)).toThrow("begins table data in another way than pg_dump does");
  });

  it("reads a file that switches standard strings off as psql does then", () => {
    expect(commandsIn("SET standard_conforming_strings = off;\nSELECT 'a\\'; \\! id\n';\n")).toEqual([]);
  });

  it("is the same however the stream is cut into chunks", () => {
    const part = fc.constantFrom(
      ..."'|\"|$$|$a$|--|/*|*/|;|\n| |E'|\\'|''|\\\\|(|)|begin|end|case|create function|x1|é|\\! id\n".split(
        "|",
      ),
      "COPY public.t (a) FROM stdin;\nx\n\\.\n",
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 24 }), fc.integer({ min: 1, max: 9 }), (parts, size) => {
        const dump = parts.join("");
        expect(attempt(dump, size)).toEqual(attempt(dump, 1 << 20));
      }),
      { numRuns: 3000 },
    );
  });
});

function attempt(dump: string, size: number): string[] {
  try {
    return read(dump, size);
  } catch (error) {
    return [(error as Error).message];
  }
}
