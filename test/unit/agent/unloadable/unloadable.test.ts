import { describe, expect, it } from "vitest";
import type { CatalogueEntry } from "../../../../agent/catalogue/catalogue.ts";
import { type DrillRecord, drillFlaw } from "../../../../agent/catalogue/drill-record.ts";
import { unloadableNow } from "../../../../agent/catalogue/unloadable-now.ts";
import type { Manifest } from "../../../../agent/manifest/manifest.ts";
import { type Ask, askNobody } from "../../../../agent/server/questions.ts";
import { describeUnloadable, diagnoseLoadError } from "../../../../agent/unloadable/diagnose.ts";
import { parseLoadError } from "../../../../agent/unloadable/load-error.ts";
import type { Unloadable } from "../../../../agent/unloadable/unloadable.ts";
import { takenAt } from "../../../support/retention/taken-at.ts";

const diagnose = async (errors: string, ask: Ask = askNobody) =>
  (await diagnoseLoadError(errors, ask)) as Unloadable;

describe("what a program wrote when a dump did not load", () => {
  it("is read from psql, with and without a line number and in full", () => {
    const full = `psql:<stdin>:61: ERROR:  23503: insert or update on table "b" violates foreign key constraint "k"
DETAIL:  Key (a)=(7) is not present in table "a".
SCHEMA NAME:  ledger
TABLE NAME:  b
CONSTRAINT NAME:  k
LOCATION:  ri_ReportViolation, ri_triggers.c:2608
psql:<stdin>:61: STATEMENT:  ALTER TABLE ONLY ledger.b
    ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES ledger.a(id);`;
    expect(parseLoadError(full)).toMatchObject({
      message: 'insert or update on table "b" violates foreign key constraint "k"',
      detail: 'Key (a)=(7) is not present in table "a".',
      schema: "ledger",
      statement: expect.stringMatching(/^ALTER TABLE ONLY ledger\.b\n/),
    });
    expect(
      parseLoadError('ERROR:  no\nCONTEXT:  SQL function "f" during inlining\nCOPY a, line 1: "1"'),
    ).toMatchObject({
      message: "no",
      context: ['SQL function "f" during inlining', 'COPY a, line 1: "1"'],
      statement: null,
    });
  });

  it("is read from pg_restore, and its first error counts", () => {
    const errors = `pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 3323; 1259 16395 INDEX i budgie_user
pg_restore: error: could not execute query: ERROR:  division by zero
Command was: CREATE INDEX i ON "odd ""s".t USING btree (public.f(a));


pg_restore: error: could not execute query: ERROR:  another
Command was: SELECT 1;`;
    expect(parseLoadError(errors)).toMatchObject({
      message: "division by zero",
      statement: 'CREATE INDEX i ON "odd ""s".t USING btree (public.f(a));',
      schema: 'odd "s',
    });
  });

  it("says nothing of the database when it is none of PostgreSQL's errors", async () => {
    for (const errors of [
      "",
      "pg_restore: error: could not read from input file: end of file",
      "psql: out of memory",
    ])
      expect(await diagnoseLoadError(errors, askNobody)).toBeNull();
  });
});

describe("an error that nothing is known of", () => {
  it("is told in PostgreSQL's words, with what the statement makes, and that a new backup would be the same", async () => {
    const found = await diagnose(
      'pg_restore: error: could not execute query: ERROR:  collation "x" does not match\nDETAIL:  Whatever.\nCommand was: CREATE TABLE public.t (\n    a text\n);',
    );
    expect(describeUnloadable(found)).toBe(
      'the table public.t does not load: PostgreSQL says: collation "x" does not match',
    );
    expect(found.repair).toEqual([
      "-- any restore of this backup, by whatever tool, meets the same error",
      "-- PostgreSQL adds: Whatever.",
      "-- change in the database what the message names",
    ]);
  });

  it("is told also when the front of what psql wrote is lost", async () => {
    const found = await diagnose('ly long text\nDETAIL:  Whatever.\nCONTEXT:  COPY t, line 3: "x"');
    expect(describeUnloadable(found)).toBe(
      "the data of t does not load: PostgreSQL says: the beginning of PostgreSQL's message is lost",
    );
  });
});

describe("lines that are pasted into psql", () => {
  const key =
    'ERROR:  insert or update on table "b" violates foreign key constraint "k"\nDETAIL:  Key (a)=(7) is not present in table "a".';

  it("hold no line that a row's value has begun", async () => {
    const evil = "7\n; DROP TABLE a; --\u2028\\! id\u001b[2J";
    const ask: Ask = async sql =>
      sql.includes("pg_constraint")
        ? [
            {
              name: "k",
              child: "public.b",
              parent: "public.a",
              definition: "FOREIGN KEY (a) REFERENCES public.a(id)",
              partitioned: false,
              full: false,
              columns: ["a"],
              referenced: ["id"],
              operators: ["OPERATOR(pg_catalog.=)"],
            },
          ]
        : [{ key: evil, rows: "1", keys: "9", all_rows: "9" }];
    const { repair } = await diagnose(key, ask);
    expect(repair.join("\n")).toContain("(a) = (7 ; DROP TABLE a; -- \\! id [2J) in 1 rows, and 8 more");
    for (const line of repair) {
      expect(line).toMatch(/^(--|SELECT|DELETE|INSERT|ALTER) /);
      expect(line).not.toMatch(/[\p{Cc}\p{Zl}]/u);
    }
  });

  it("quote what only the error's text names, and ask to be completed, when the live database does not answer", async () => {
    const { object, repair } = await diagnose(key.replace('"k"', '"k"k"'));
    expect(object).toBe('the foreign key "k""k" of "b"');
    expect(repair.at(-1)).toContain("FOREIGN KEY (…) REFERENCES … (…) NOT VALID;");
  });
});

describe("what is known of the database from all of its drills", () => {
  const now = new Date("2026-11-22T02:00:00Z");
  const entry = (ago: number, outcome: DrillRecord["outcome"] | null, differs: Partial<Manifest> = {}) => {
    const { name, manifest } = takenAt(new Date(now.getTime() - ago * 24 * 3_600_000));
    const why = outcome === "good" ? null : `fault ${ago}`;
    const drill = outcome && {
      at: now.toISOString(),
      by: "drill" as const,
      outcome,
      why,
      repair: [],
      contentSha256: "",
    };
    return {
      name,
      bytes: 1,
      manifest: { ...(manifest as Manifest), ...differs },
      authentic: true,
      drill,
      pin: null,
      flaw: drillFlaw(drill),
    };
  };
  const why = (...entries: CatalogueEntry[]) => unloadableNow(entries)?.why;

  it("is what the newest one says that ended", () => {
    expect(why(entry(0, null), entry(1, "unloadable"), entry(2, "unloadable"))).toBe("fault 1");
    expect(why(entry(0, "bad"), entry(1, "unloadable"), entry(2, "good"))).toBe("fault 1");
    expect(why(entry(0, null), entry(1, "good"), entry(2, "unloadable"))).toBeUndefined();
    expect(why(entry(0, null), entry(1, "bad"))).toBeUndefined();
  });

  it("is nothing of another database, or of another stack's backups", () => {
    expect(why(entry(0, null), entry(1, "unloadable", { systemIdentifier: "1" }))).toBeUndefined();
    expect(why({ ...entry(0, "unloadable"), flaw: "of stack prod" }, entry(1, null))).toBeUndefined();
  });
});
