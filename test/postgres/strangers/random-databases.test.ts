import { randomInt } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { dropLiveDatabases, LIVE } from "../../support/database/live.ts";
import { expectRoundTrip, type RoundTrips, startRoundTrips } from "../../support/database/round-trip.ts";
import { psql } from "../../support/database/server-psql.ts";
import { reloadedByPostgres } from "../../support/database/snapshot.ts";
import { randomDatabase } from "../../support/random/schema.ts";
import type { TestPostgres } from "../../support/servers/postgres.ts";

const COUNT = Number(process.env.RANDOM_DATABASES ?? 3);
const FIRST = Number(process.env.RANDOM_SEED ?? randomInt(2 ** 30));
const FORMATS = ["sql", "dump", "dir.tar", "sql.gz"];

describe("random databases", () => {
  let trips: RoundTrips;
  let postgres: TestPostgres;

  beforeAll(async () => {
    trips = await startRoundTrips();
    postgres = trips.postgres;
  });
  afterAll(() => trips?.stop());

  it.each(Array.from({ length: COUNT }, (_, at) => FIRST + at))(
    "RANDOM_SEED=%i RANDOM_DATABASES=1",
    async seed => {
      const format = FORMATS[seed % FORMATS.length] as string;
      try {
        await psql(postgres, "postgres", `CREATE DATABASE ${LIVE} TEMPLATE template0`);
        await psql(postgres, LIVE, randomDatabase(seed, LIVE));
        await expectRoundTrip(trips, format, await reloadedByPostgres(postgres, LIVE, ""));
      } catch (error) {
        throw new Error(`RANDOM_SEED=${seed} RANDOM_DATABASES=1, as ${format}`, { cause: error });
      } finally {
        await dropLiveDatabases(postgres);
      }
    },
  );
});
