// Backups that are read from a replica, with point in time beside them.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { DUMP_SESSION } from "../../agent/server/orphans.ts";
import { replicaContainerName } from "../../shared/names.ts";
import { psqlIn } from "../support/database/psql-in.ts";
import { itSlowly, SLOW } from "../support/slow-lane.ts";
import { createOnTwoMachines, type TwoMachines } from "../support/stack/two-machines.ts";

let both: TwoMachines;

beforeAll(async () => {
  if (SLOW)
    both = await createOnTwoMachines(({ here }) => ({
      settings: { replicaBackupAddress: here, pointInTime: "true" },
    }));
});
afterAll(() => both?.remove());

async function backUp() {
  const { code, all } = await both.stack.budgie(["backup"]);
  expect(code, all).toBe(0);
  const file = [...all.matchAll(/budgie_\d{8}_\d{6}/g)].at(-1)?.[0] as string;
  const manifest = JSON.parse(await readFile(join(both.stack.backupDir, `${file}.json`), "utf8"));
  const written = manifest.tables.find(({ name }: { name: string }) => name.endsWith("written"));
  return {
    file: manifest.file as string,
    rows: written.rows as number,
    walPosition: manifest.walPosition,
    all,
  };
}

itSlowly("while rows are written, each holds every row that was acknowledged before it", async () => {
  const writing = await both.startWriting();
  for (let n = 0; n < 3; n++) {
    await writing.more(200);
    const before = writing.rows.length;
    const { rows, all } = await backUp();
    expect(all).toContain(`Reading from the replica at ${both.machine.here}`);
    expect(rows, all).toBeGreaterThanOrEqual(before);
  }
  writing.stop();
});

itSlowly("recovery to the moment of one gives the very rows and sequences that it holds", async () => {
  const { file, walPosition, all } = await backUp();
  expect(walPosition, all).toMatchObject({ timeline: 1, quiet: true });
  const { code, all: told } = await both.stack.budgie(["drill", "--at"]);
  expect(code, told).toBe(0);
  expect(told).toContain(file);
});

itSlowly("a dump that the replica ends is read from the database instead", async () => {
  const { machine, stack, here } = both;
  await psqlIn(
    machine.engine.host,
    `${stack.prefix}-db`,
    "CREATE TABLE large AS SELECT g, repeat(md5(g::text), 30) AS t FROM generate_series(1, 300000) AS g",
  );
  const taking = backUp();
  const end = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '${DUMP_SESSION}' AND query LIKE 'COPY%'`;
  let ended = "0";
  const until = Date.now() + 60_000;
  while (ended === "0" && Date.now() < until)
    ended = await psqlIn(here, replicaContainerName(stack.prefix), end);
  const { all } = await taking;
  expect(ended).not.toBe("0");
  expect(all).toContain("could not be read, so the database itself is: pg_dump of budgie_dev failed");
});
