import type Docker from "dockerode";
import { engineClient } from "../engine/client.ts";
import { psqlIfRunning } from "../engine/psql-in-container.ts";
import { runBesideStopped } from "../engine/run-beside-stopped.ts";
import { DATA_FOLDER } from "../shared/database-image.ts";
import { EXIT, Stop } from "../shared/exit-codes.ts";
import { DATABASE_USER } from "../shared/names.ts";
import { startContainers, stopContainers } from "./stack/containers.ts";
import { requireOnlyServer } from "./stack/only-server.ts";
import { containerOf, findStack, type Stack } from "./stack/stack-containers.ts";
import { runAgent } from "./to-agent/agent-command.ts";

const say = (line: string) => process.stderr.write(`${line}\n`);

/**
 * Writes a checksum into every page of the database's volume, as PostgreSQL's pg_checksums does it: with the server stopped. Takes a backup
 * first. A kill leaves the server stopped and the volume as usable as before, without checksums: PostgreSQL notes that they are there
 * only once every page has one. Then `npx budgie start`, or the same command again. Returns an exit code; throws a Stop.
 */
export async function enableChecksums(stack: Stack): Promise<number> {
  const database = containerOf(stack, "database");
  if (await hasChecksums(database.container)) {
    say("[✓] The database's pages have checksums already; nothing was done");
    return EXIT.done;
  }
  const backedUp = await runAgent(stack, { args: ["backup", "--reason", "before-change"] });
  if (backedUp !== EXIT.done) return backedUp;
  const roles = (["database", "backend"] as const).filter(role =>
    stack.containers.some(container => container.role === role),
  );
  await stopContainers(stack, roles);
  try {
    await requireOnlyServer(stack);
    say("[i] Writing checksums. Each gigabyte takes a few seconds, and nobody is served meanwhile...");
    await writeChecksums(engineClient(stack.engine.host), database.container);
  } finally {
    await startContainers(await findStack(stack.prefix), roles);
  }
  say("[✓] From now on PostgreSQL notices a page that was damaged on the disk");
  return EXIT.done;
}

async function hasChecksums(database: Docker.Container): Promise<boolean> {
  const asked = await psqlIfRunning(database, [
    "-XAtq",
    "-U",
    DATABASE_USER,
    "-d",
    "postgres",
    "-c",
    "SHOW data_checksums",
  ]);
  return asked?.stdout.trim() === "on";
}

async function writeChecksums(client: Docker, database: Docker.Container): Promise<void> {
  const { code, log } = await runBesideStopped(client, database, {
    suffix: "checksums",
    script: `exec pg_checksums --enable -D "\${PGDATA:-${DATA_FOLDER}}"`,
    lines: 5,
  });
  if (code === 0) return;
  throw new Stop(
    EXIT.failed,
    `The checksums could not be written: ${log}. The volume is as before, without checksums.`,
    "See what the disk says (dmesg), then run the same command again.",
  );
}
