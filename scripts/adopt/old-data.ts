import type Docker from "dockerode";
import { engineClient } from "../../engine/client.ts";
import { collectIfRunning } from "../../engine/run-in-container.ts";
import { stopLine } from "../../engine/stop-line.ts";
import { volumeUsers } from "../../engine/volume-users.ts";
import { DATA_FOLDER, DEFAULT_DATABASE_IMAGE } from "../../shared/database-image.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { DATABASE_USER } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { type VolumeFacts, volumeFacts } from "../volume/volume-facts.ts";
import { askVolumes } from "../volume/volume-work.ts";
import { isAtWork, type OldInstall } from "./old-install.ts";

/** What an old volume holds. */
export interface OldData {
  facts: VolumeFacts;
  databases: OldDatabase[];
  roles: OldRole[];
}

export interface OldDatabase {
  name: string;
  bytes: number;
  /** Whether it takes sessions. */
  open: boolean;
}

export interface OldRole {
  name: string;
  /** The one that the volume was made with: `POSTGRES_USER` of that time. */
  first: boolean;
  superuser: boolean;
}

/** One line for each database that is somebody's, and for each role that matters here. */
export const lookSql = (bytes: string) =>
  "SELECT concat_ws('|', 'database', oid, " +
  `${bytes}, datallowconn, datname) AS line FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ` +
  "UNION ALL SELECT concat_ws('|', 'role', oid = 10, rolsuper, rolname) FROM pg_roles " +
  `WHERE oid = 10 OR rolname = '${DATABASE_USER}'`;

/** The password is the container's own, for the case that its socket asks for one. */
const PSQL =
  `export PGPASSWORD="\${POSTGRES_PASSWORD:-$(cat "$POSTGRES_PASSWORD_FILE" 2>/dev/null)}"; ` +
  `for user in "\${POSTGRES_USER:-postgres}" ${DATABASE_USER} postgres; do ` +
  `psql -XAtqw -U "$user" -d template1 -c "$1" && exit; done; exit 1`;

/**
 * Reads a volume that no server runs on and changes nothing there: what PostgreSQL needs to start goes into the container's own files,
 * without the databases, and a server without clients answers there. `ignore_invalid_pages`: where the old server was not shut down, its
 * log speaks of databases that were left out.
 */
const LOOK = `
set -e
cd '${DATA_FOLDER}'
export LC_ALL=C
first=$(pg_controldata -D . | sed -n "s/^Latest checkpoint's REDO WAL file: *//p")
look=/tmp/budgie-look
mkdir -p $look/base $look/pg_wal/archive_status $look/pg_tblspc $look/pg_replslot $look/pg_stat_tmp $look/pg_stat
for part in PG_VERSION global pg_xact pg_multixact pg_subtrans pg_commit_ts pg_dynshmem pg_logical pg_notify pg_serial pg_snapshots pg_twophase postgresql.conf postgresql.auto.conf pg_hba.conf pg_ident.conf; do
  if [ -e $part ]; then cp -R $part $look/; fi
done
cp -R base/1 $look/base/
for segment in $(cd pg_wal && ls | grep -E '^[0-9A-F]{24}$' | sort | sed -n "/^$first/,\\$p"); do cp pg_wal/$segment $look/pg_wal/; done
for database in $(cd base && ls | grep -E '^[0-9]+$'); do echo "size|$database|$(du -sk base/$database | cut -f1)"; done
chown -R postgres $look && chmod 700 $look
drop=$(command -v gosu || command -v su-exec)
echo "$SQL" | "$drop" postgres postgres --single -D $look -c shared_buffers=16MB -c shared_preload_libraries= -c archive_mode=off -c logging_collector=off -c log_destination=stderr -c ssl=off -c ignore_invalid_pages=on template1`;

/** Where it is told to type a dump: the way out that needs no volume. */
function dumpLines({ database }: OldInstall, kind: string, major: string): string {
  const server = database?.name ?? "OLD-DATABASE-CONTAINER";
  return [
    `Take a dump of it with its own server (PostgreSQL ${major}), and load that into a stack with a volume of its own:`,
    `${kind} exec ${server} sh -c 'pg_dump -U "$POSTGRES_USER" "$POSTGRES_DB"' > old.sql`,
    "npm run pulumi -- config set budgie:namePrefix budgie-new",
    "npm run up     # where a port is taken, it says so: stop the old containers then",
    "npx budgie restore ./old.sql",
  ].join("\n    ");
}

/**
 * Looks into the volume of an old install, and changes nothing. Asks its server where that runs; never starts one on it. Throws a Stop
 * for what this stack cannot take over.
 */
export async function lookInto(stack: Stack, install: OldInstall): Promise<OldData> {
  const { kind } = stack.engine;
  const { volume, folder, database } = install;
  if (volume === null)
    throw new Stop(
      EXIT.failed,
      `The old install has its data in the folder ${folder} and in no volume, which the stack's database needs. Nothing was changed.`,
      dumpLines(install, kind, "its own"),
    );
  await requireKnownUsers(stack, install, volume);
  const facts = await volumeFacts(stack, { volume });
  if (facts.majorVersion === null)
    throw new Stop(
      EXIT.failed,
      `The volume ${volume} holds no PostgreSQL database at its top (${facts.entries} files and folders). Nothing was changed.`,
      "If the database is in a folder of it, or the volume is another: npx budgie adopt --volume NAME, or take a dump with its own server and load that: npx budgie restore FILE",
    );
  if (facts.majorVersion !== facts.imageVersion)
    throw new Stop(
      EXIT.unusableBackup,
      `The volume ${volume} is of PostgreSQL ${facts.majorVersion}, and the stack runs ${facts.imageVersion}, which cannot open it. Nothing was changed.`,
      dumpLines(install, kind, facts.majorVersion),
    );
  const answer =
    database && isAtWork(database)
      ? await askServer(engineClient(stack.engine.host).getContainer(database.id), database.name, kind)
      : await askFiles(stack, volume);
  const data = { facts, ...parseLook(answer) };
  if (data.databases.length > 0) return data;
  throw new Stop(
    EXIT.failed,
    `The volume ${volume} holds PostgreSQL ${facts.majorVersion} and no database of anybody's in it. Nothing was changed.`,
    "Name another volume: npx budgie adopt --volume NAME. To begin with an empty database: npm run up",
  );
}

/** Whoever else is at work on the volume, nobody knows what for. The database of the stack itself is known. */
async function requireKnownUsers(stack: Stack, install: OldInstall, volume: string): Promise<void> {
  const known = install.containers.map(({ name }) => name);
  const others = (await volumeUsers(engineClient(stack.engine.host), volume))
    .filter(({ name, labels }) => !known.includes(name) && labels[LABEL.prefix] !== stack.prefix)
    .map(({ name, image }) => `${name} (${image})`);
  if (others.length === 0) return;
  throw new Stop(
    EXIT.busy,
    `The volume ${volume} is in use by what does not belong to the old install: ${others.join(", ")}. Nothing was changed.`,
    `If it may be stopped, stop it, then run the same command again: ${stopLine(
      stack.engine.kind,
      others.map(other => other.split(" ")[0] ?? ""),
    )}`,
  );
}

async function askServer(
  container: Docker.Container,
  name: string,
  kind: "docker" | "podman",
): Promise<string> {
  const asked = await collectIfRunning(container, [
    "sh",
    "-c",
    PSQL,
    "psql",
    lookSql("pg_database_size(oid)"),
  ]);
  if (asked?.code === 0) return asked.stdout;
  const why = asked?.stderr.trim().split("\n").at(-1) || "it is paused, or just starts or ends";
  throw new Stop(
    EXIT.databaseUnreachable,
    `The old server ${name} does not answer: ${why}. Nothing was changed.`,
    `See why: ${kind} logs ${name}. Or stop it, and the volume is looked into without it: ${stopLine(kind, [name])}. Then run the same command again.`,
  );
}

async function askFiles(stack: Stack, volume: string): Promise<string> {
  try {
    return await askVolumes(stack, {
      volumes: [{ volume, path: DATA_FOLDER }],
      asPostgres: true,
      script: LOOK,
      environment: { SQL: lookSql("0") },
    });
  } catch (error) {
    if (error instanceof Stop) throw error;
    throw new Stop(
      EXIT.failed,
      `What the volume ${volume} holds could not be read: ${(error as Error).message}. Nothing was changed.`,
      "Start the old database, so that it answers by itself (docker compose start db), then run the same command again.",
    );
  }
}

/** Of psql's lines, or of those in which a server without clients shows what it found. */
export function parseLook(text: string): Pick<OldData, "databases" | "roles"> {
  const lines = text.split("\n").map(line => / = "(.*)"\s*\(typeid/.exec(line)?.[1] ?? line.trim());
  const of = (kind: string) =>
    lines.filter(line => line.startsWith(`${kind}|`)).map(line => line.split("|").slice(1));
  const sizes = new Map(of("size").map(([oid, kilobytes]) => [oid, Number(kilobytes) * 1024]));
  return {
    databases: of("database").map(([oid, bytes, open, ...name]) => ({
      name: name.join("|"),
      bytes: Number(bytes) || (sizes.get(oid) ?? 0),
      open: open === "t",
    })),
    roles: of("role").map(([first, superuser, ...name]) => ({
      name: name.join("|"),
      first: first === "t",
      superuser: superuser === "t",
    })),
  };
}

/** Whether the stack's role can do there what it must. */
export function lacksRole({ roles }: Pick<OldData, "roles">): boolean {
  return !roles.some(({ name, superuser }) => name === DATABASE_USER && superuser);
}

/** Whether the old server sorted text by another library, so that its indexes on text may have another order. */
export function isOfAnotherSystem({ database }: OldInstall): boolean {
  const image = database?.image.replace(/^docker\.io\/(library\/)?/, "");
  return image !== undefined && image !== DEFAULT_DATABASE_IMAGE && !image.includes("alpine");
}
