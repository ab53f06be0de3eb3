import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collectFromContainer } from "../../engine/run-in-container.ts";
import { allowReplication, withdrawReplication } from "../../shared/replication-access.ts";
import { SLOT } from "../../shared/replication-slot.ts";
import { psqlOverSocket } from "../support/agent/point-in-time.ts";
import { query } from "../support/database/query.ts";
import { startPostgres, type TestPostgres } from "../support/servers/postgres.ts";

describe("switching point in time on and off in the server's own rules", () => {
  let postgres: TestPostgres;
  const rules = async () => {
    const [row] = await query<{ rules: string; bound: string; errors: number }>(
      postgres,
      "postgres",
      `SELECT pg_read_file(current_setting('hba_file')) AS rules,
              current_setting('max_slot_wal_keep_size') AS bound,
              (SELECT count(*)::int FROM pg_hba_file_rules WHERE error IS NOT NULL) AS errors`,
    );
    return row;
  };
  const LINE = "host replication budgie_user all scram-sha-256 # budgie:pointInTime\n";

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.stop());

  it("adds one line and a bound, however often it is run, and takes back both and the slot", async () => {
    const before = await rules();
    await psqlOverSocket(postgres, withdrawReplication());
    expect(await rules()).toEqual(before);

    for (let run = 0; run < 2; run++) await psqlOverSocket(postgres, allowReplication("budgie_user"));
    expect(await rules()).toEqual({ rules: `${before?.rules}${LINE}`, bound: "1GB", errors: 0 });
    const owner = await collectFromContainer(postgres.container, [
      "sh",
      "-c",
      'ls -l "$PGDATA" | grep -c "^-rw------- .* postgres .* pg_hba.conf$"',
    ]);
    expect(owner.stdout.trim()).toBe("1");

    await query(postgres, "postgres", "SELECT pg_create_physical_replication_slot($1, true)", [SLOT]);
    await psqlOverSocket(postgres, withdrawReplication());
    expect(await rules()).toEqual(before);
    const slots = await query(postgres, "postgres", "SELECT FROM pg_replication_slots");
    expect(slots).toEqual([]);
  });

  it("leaves a bound of the operator's own alone", async () => {
    await query(postgres, "postgres", "ALTER SYSTEM SET max_slot_wal_keep_size = '4GB'");
    await query(postgres, "postgres", "SELECT pg_reload_conf()");
    await psqlOverSocket(postgres, allowReplication("budgie_user"));
    expect((await rules())?.bound).toBe("4GB");
    await psqlOverSocket(postgres, withdrawReplication());
    expect((await rules())?.bound).toBe("4GB");
  });
});
