import { describe, expect, it } from "vitest";
import { whyItDoesNotStart, withoutInitdbHint } from "../../../shared/server-log.ts";

const why = (log: string) => whyItDoesNotStart(log, "budgie-postgres-data");

describe("a database that does not start, by its log", () => {
  it.each([
    "FATAL:  incorrect checksum in control file",
    "DETAIL:  The database cluster was initialized with PG_CONTROL_VERSION 1852401253 (0x6e696765), but the server was compiled with PG_CONTROL_VERSION 1300 (0x00000514).",
    'FATAL:  could not read file "global/pg_control": read 5 of 296',
    "PANIC:  could not locate a valid checkpoint record",
    'FATAL:  could not open file "global/pg_filenode.map": No such file or directory',
    'FATAL:  relation mapping file "global/pg_filenode.map" contains invalid data',
  ])("is damaged: %s", log => {
    expect(why(log)?.damaged).toBe(true);
  });

  it("is another major version's, and nothing of it is damaged", () => {
    const log =
      "FATAL:  database files are incompatible with server\nDETAIL:  The data directory was initialized by PostgreSQL version 15, which is not compatible with this version 16.14.\n";
    expect(why(log)).toEqual({
      what: "The volume budgie-postgres-data was made by PostgreSQL 15, and this one is 16.14. Nothing in it was changed.",
      damaged: false,
    });
  });

  it.each([
    "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
    'FATAL:  could not create lock file "postmaster.pid": No space left on device',
    "",
  ])("is neither: %s", log => {
    expect(why(log)).toBeUndefined();
  });

  it("shows no advice to begin with an empty database", () => {
    const log =
      "FATAL:  database files are incompatible with server\nHINT:  It looks like you need to initdb.\nbye";
    expect(withoutInitdbHint(log)).toBe("FATAL:  database files are incompatible with server\nbye");
  });
});
