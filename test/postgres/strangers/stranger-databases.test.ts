import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dropLiveDatabases, LIVE } from "../../support/database/live.ts";
import { expectRoundTrip, type RoundTrips, startRoundTrips } from "../../support/database/round-trip.ts";
import { psql } from "../../support/database/server-psql.ts";
import {
  type DatabaseSnapshot,
  reloadedByPostgres,
  snapshotDatabase,
} from "../../support/database/snapshot.ts";
import type { TestPostgres } from "../../support/servers/postgres.ts";
import { strangerGroups } from "../../support/strangers/databases.ts";

/** Shows which of the scripts that share a database fails. */
const ONE_EACH = process.env.STRANGERS === "each";
/** Otherwise every second group is an archive too, of one kind or the other in turn: each round trip takes some ten seconds. */
const ALL = ONE_EACH || process.env.STRANGERS === "all";
const ARCHIVES = ["dump", "dir.tar"];
const GROUPS = strangerGroups(ONE_EACH).map((group, at) => [group.name, group, at] as const);
/** Kinds where compressing a plain dump could matter. */
const COMPRESSED_TOO = /commands|ENCODING/;

describe("databases of strangers", () => {
  let trips: RoundTrips;
  let postgres: TestPostgres;

  beforeAll(async () => {
    trips = await startRoundTrips();
    postgres = trips.postgres;
  });
  afterAll(() => trips?.stop());

  describe.each(GROUPS)("%s", (name, { words, script, undo }, at) => {
    const archives = ALL ? ARCHIVES : ARCHIVES.filter((_, which) => 2 * which === at % 4);
    const formats = ["sql", ...archives, ...(COMPRESSED_TOO.test(name) ? ["sql.gz"] : [])];
    let reloaded: DatabaseSnapshot;

    beforeAll(async () => {
      await psql(postgres, "postgres", `CREATE DATABASE ${LIVE} TEMPLATE template0 ${words}`);
      await psql(postgres, LIVE, script);
      reloaded = await reloadedByPostgres(postgres, LIVE, words);
    });

    afterAll(async () => {
      await dropLiveDatabases(postgres);
      await psql(postgres, "postgres", undo);
    });

    it("come back by PostgreSQL's own tools", async () => {
      expect(reloaded.content).toEqual((await snapshotDatabase(postgres, LIVE)).content);
    });

    it.each(formats)("are backed up, proven and restored as %s", async format => {
      await expectRoundTrip(trips, format, reloaded);
    });
  });
});
