import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DumpFingerprint, DumpFingerprinter } from "../../../../agent/dump/fingerprint.ts";

const HEAD =
  "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- Dumped from database version 16.14\n-- Dumped by pg_dump version 16.14\n\n";
const TAIL = "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";

const table = (name: string, rows: string[]) =>
  `--\n-- Data for Name: ${name}; Type: TABLE DATA; Schema: public; Owner: x\n--\n\nCOPY public.${name} (a, b) FROM stdin;\n${rows.map(row => `${row}\n`).join("")}\\.\n\n\n`;

const read = (dump: string, chunkSize = 1 << 20): DumpFingerprint => {
  const bytes = Buffer.from(dump);
  const fingerprinter = new DumpFingerprinter();
  for (let at = 0; at < bytes.length; at += chunkSize)
    fingerprinter.update(bytes.subarray(at, at + chunkSize));
  return fingerprinter.finish();
};

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

describe("the fingerprint of a dump", () => {
  it("counts each table's rows and hashes its data", () => {
    const { tables, complete, serverVersion } = read(
      HEAD + table("users", ["1\tx", "2\t\\\\."]) + table("none", []) + TAIL,
    );
    expect(tables).toEqual([
      {
        name: "public.users",
        copy: "COPY public.users (a, b) FROM stdin;",
        rows: 2,
        sha256: sha256("1\tx\n2\t\\\\.\n"),
      },
      { name: "public.none", copy: "COPY public.none (a, b) FROM stdin;", rows: 0, sha256: sha256("") },
    ]);
    expect({ complete, serverVersion }).toEqual({ complete: true, serverVersion: "16.14" });
  });

  it.each([
    ["-", []],
    ["-; Tablespace: ", []],
    ["clerk; Tablespace: ", ["clerk"]],
    ["clerk; Tablespace: fast", ["clerk"]],
    ["trainee; of two", ["trainee; of two"]],
  ])("tells the roles of %j", (owner, roles) => {
    const comment = `--\n-- Name: users; Type: TABLE; Schema: public; Owner: ${owner}\n--\n\n`;
    expect(read(HEAD + comment + TAIL).roles).toEqual(roles);
  });

  it("is the same however the stream is cut into chunks", () => {
    const row = fc
      .array(fc.constantFrom("a", "\t", "\\N", "\\\\.", "é", ".", "\\t"), { maxLength: 8 })
      .map(parts => parts.join(""));
    fc.assert(
      fc.property(
        fc.array(fc.array(row, { maxLength: 6 }), { maxLength: 4 }),
        fc.integer({ min: 1, max: 40 }),
        (tables, size) => {
          const dump =
            HEAD +
            tables
              .map((rows, n) =>
                table(
                  `t${n}`,
                  rows.map(text => `x${text}`),
                ),
              )
              .join("") +
            TAIL;
          const whole = read(dump);
          expect(read(dump, size)).toEqual(whole);
          expect(whole.tables.map(({ rows }) => rows)).toEqual(tables.map(rows => rows.length));
          expect(whole.complete).toBe(true);
        },
      ),
    );
  });

  it("is complete only with pg_dump's last line, wherever the dump is cut", () => {
    const dump = HEAD + table("users", ["1\tx", "2\ty"]) + TAIL;
    const needed = dump.indexOf("dump complete") + "dump complete".length;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: needed - 1 }), end => {
        expect(read(dump.slice(0, end)).complete).toBe(false);
      }),
    );
  });

  it("does not take a row for the completion line, nor a quoted COPY statement for table data", () => {
    const row = "-- PostgreSQL database dump complete";
    expect(read(HEAD + table("notes", [row]).split("\\.")[0]).complete).toBe(false);
    const inFunction = `CREATE FUNCTION f() AS $$\nCOPY public.users (a, b) FROM stdin;\n$$;\n`;
    expect(read(HEAD + inFunction + TAIL)).toMatchObject({ tables: [], complete: true });
  });

  it("leaves out of the schema what differs between two dumps of one database, and nothing else", () => {
    const other = (HEAD + TAIL)
      .replaceAll(" abc", " xyz")
      .replace("database version 16.14", "database version 16.4");
    expect(read(other).schemaSha256).toBe(read(HEAD + TAIL).schemaSha256);
    const sequence = "SELECT pg_catalog.setval('public.users_id_seq', 7, true);\n";
    expect(read(HEAD + sequence + TAIL).schemaSha256).not.toBe(
      read(HEAD + sequence.replace("7", "8") + TAIL).schemaSha256,
    );
  });

  it("reports a command that would leave the database", () => {
    expect(read(`${HEAD}\\connect budgie_dev\n${TAIL}`).command).toMatchObject({
      text: "\\connect budgie_dev",
    });
    expect(read(HEAD + table("t", ["\\connect x"]) + TAIL).command).toBeNull();
  });
});
