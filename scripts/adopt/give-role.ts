import { DATA_FOLDER } from "../../shared/database-image.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { DATABASE_USER, databaseVolumeName } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { requireIdleVolume } from "../volume/volume-idle.ts";
import { workOnVolumes } from "../volume/volume-work.ts";
import { lacksRole, lookSql, parseLook } from "./old-data.ts";

/**
 * The first is refused where the role is there already, and the next one then makes it what it must be. A server without clients exits
 * with 0 whatever becomes of a statement, so the last one shows what came of them.
 */
const STATEMENTS = [
  `CREATE ROLE ${DATABASE_USER}`,
  `ALTER ROLE ${DATABASE_USER} SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS LOGIN`,
  lookSql("0"),
].join("\n");

const SCRIPT = `
cd '${DATA_FOLDER}' || exit
chown -R postgres:postgres . || exit
drop=$(command -v gosu || command -v su-exec)
echo "$SQL" | "$drop" postgres postgres --single -D . -c default_transaction_read_only=off postgres`;

/**
 * Gives the volume of the stack's database the role that the stack works with, beside those that are there: in PostgreSQL's single-user
 * mode, which asks for no password and knows no second server. Nothing runs on the volume before or after; a kill in between is a crash
 * like any other to PostgreSQL. What was there stays: the old install goes on with its own role.
 */
export async function giveRole(stack: Stack): Promise<void> {
  await requireIdleVolume(stack);
  const said: Buffer[] = [];
  const { code, stderr } = await workOnVolumes(stack, {
    writes: true,
    asPostgres: true,
    script: SCRIPT,
    environment: { SQL: STATEMENTS },
    onOutput: bytes => {
      said.push(bytes);
    },
  });
  const shown = Buffer.concat(said).toString();
  if (code === 0 && !lacksRole(parseLook(shown))) return;
  throw new Stop(
    EXIT.failed,
    `The role ${DATABASE_USER} could not be made in the volume ${databaseVolumeName(stack.prefix)}: ${stderr.split("\n").slice(-3).join(" ") || shown.slice(-300)}.`,
    "Every row is there. Run the same command again.",
  );
}
