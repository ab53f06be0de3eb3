import { createHash } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import pg from "pg";
import { collectFromContainer } from "../../../engine/run-in-container.ts";
import { EXIT } from "../../../shared/exit-codes.ts";
import { type CommandResult, startAgent, type TestAgent } from "../agent/agent.ts";
import { databasesSetAside, LIVE, putBackTheFirst, withoutSyncing } from "../database/live.ts";
import { inServer, psql } from "../database/server-psql.ts";
import { startPostgres, type TestPostgres } from "../servers/postgres.ts";
import { type HostileFile, hostileDump, INCLUDED } from "./files.ts";
import { difference, lookOutside, markContainers, type Outside } from "./outside-candidate.ts";

export type Compression = "plain" | "gz" | "zst";

/** How a hostile file comes to the agent. */
export interface Delivery {
  compression: Compression;
  /** A good backup's manifest is beside it, with sizes and hashes made to fit. */
  manifest: boolean;
}

/** A server and an agent with something to lose. */
export interface HostilePlace {
  /** Restores the files one after the other. Returns what that did outside the candidates, and what the agent said. */
  restore(files: readonly HostileFile[], delivery: Delivery): Promise<{ effects: string[]; said: string }>;
  stop(): Promise<void>;
}

const BYSTANDER = "bystander";

const SETUP = `
  CREATE TABLE kept (id int, note text);
  INSERT INTO kept SELECT n, 'note ' || n FROM generate_series(1, 50) n;
  CREATE TABLE scratch (id int);
  INSERT INTO scratch VALUES (1);
  CREATE ROLE ${BYSTANDER} LOGIN PASSWORD 'theirs';
  GRANT CREATE, CONNECT ON DATABASE ${LIVE} TO ${BYSTANDER};
  COMMENT ON DATABASE ${LIVE} IS 'the live one';
  CREATE DATABASE other_database OWNER ${BYSTANDER};
  ALTER ROLE ${BYSTANDER} SET work_mem = '6MB';
  SELECT pg_create_physical_replication_slot('theirs');`;

export async function openHostilePlace(): Promise<HostilePlace> {
  const postgres = await startPostgres();
  await withoutSyncing(postgres);
  await psql(postgres, "postgres", `CREATE DATABASE ${LIVE}`);
  await psql(postgres, LIVE, SETUP);
  const bystander = new pg.Client({
    connectionString: postgres.url("postgres"),
    application_name: BYSTANDER,
  });
  // When it ends, the list of sessions shows it.
  bystander.on("error", () => undefined);
  await bystander.connect();
  const agent = await startAgent(postgres, { database: LIVE });
  await writeFile(join(agent.directory, INCLUDED.name), INCLUDED.text);
  const manifest = JSON.parse((await agent.run(["backup", "--json"])).stdout) as Record<string, unknown>;
  const good = await inServer(postgres, `pg_dump --dbname=${LIVE}`);
  // A first restore and a first drill leave lasting things, such as records. They are there before anything is compared.
  for (const command of ["restore", "drill"]) await agent.run([command, String(manifest.file)]);
  await putBackTheFirst(postgres);
  await markContainers(postgres, agent);
  const before = await lookOutside(postgres, agent);

  return {
    restore: async (files, delivery) => {
      const said: string[] = [];
      const effects: string[] = [];
      for (const [at, file] of files.entries()) {
        const result = await restoreOne(agent, manifest, hostileDump(good, file), delivery, at);
        said.push(`${file.name}: exit code ${result.code}\n${result.stdout}${result.stderr}`);
        effects.push(
          ...(await leaked(postgres, result)),
          ...(await unclaimed(postgres, result, said.length)),
        );
      }
      await putBackTheFirst(postgres).catch((error: Error) => effects.push(error.message));
      effects.push(...(await changesSince(before, postgres, agent)));
      await forgetSafetyBackups(agent);
      return { effects, said: said.join("\n") };
    },
    stop: async () => {
      await bystander.end().catch(() => undefined);
      await agent.stop();
      await postgres.stop();
    },
  };
}

/** A session of the test's own may still be about to end. What a file has done stays. */
async function changesSince(
  before: Outside,
  postgres: TestPostgres,
  agent: TestAgent,
  looks = 3,
): Promise<string[]> {
  // A server that cannot be read any more has been reached, too.
  const changes = await lookOutside(postgres, agent).then(
    after => difference(before, after),
    (error: Error) => [error.message],
  );
  return changes.length === 0 || looks === 1 ? changes : changesSince(before, postgres, agent, looks - 1);
}

/** Under a backup's name, under another name, or through standard input. */
async function restoreOne(
  agent: TestAgent,
  manifest: Record<string, unknown>,
  dump: string,
  { compression, manifest: withManifest }: Delivery,
  at: number,
): Promise<CommandResult> {
  const bytes = await compress(agent, Buffer.from(dump), compression);
  const ending = compression === "plain" ? "" : `.${compression}`;
  const stem = `budgie_20010101_0000${String(at % 60).padStart(2, "0")}`;
  const way = withManifest ? 0 : at % 3;
  if (way === 2) return agent.run(["restore", "-"], bytes);
  const name = way === 1 ? `from somebody else ${at}.sql${ending}` : `${stem}.sql${ending}`;
  await writeFile(join(agent.directory, name), bytes, { mode: 0o600 });
  if (withManifest) {
    const content = { contentBytes: dump.length, contentSha256: sha256(Buffer.from(dump)) };
    const forged = {
      ...manifest,
      file: name,
      bytes: bytes.length,
      sha256: sha256(bytes),
      ...content,
      globals: null,
    };
    await writeFile(join(agent.directory, `${stem}.json`), `${JSON.stringify(forged, null, 2)}\n`, {
      mode: 0o600,
    });
  }
  try {
    return await agent.run(["restore", name]);
  } finally {
    await rm(join(agent.directory, name), { force: true });
    await rm(join(agent.directory, `${stem}.json`), { force: true });
  }
}

/** This machine's Node may lack zstd; the agent's has it. */
async function compress(agent: TestAgent, bytes: Buffer, compression: Compression): Promise<Buffer> {
  if (compression === "plain") return bytes;
  if (compression === "gz") return gzipSync(bytes);
  const script =
    "process.stdout.write(require('zlib').zstdCompressSync(require('fs').readFileSync(0)).toString('base64'))";
  const { code, stdout, stderr } = await collectFromContainer(
    agent.container,
    ["node", "--eval", script],
    bytes,
  );
  if (code !== 0) throw new Error(`zstd: ${stderr}`);
  return Buffer.from(stdout, "base64");
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What must not leak to the candidate: passwords, in any form that a dump would write. */
async function leaked(postgres: TestPostgres, { code, stdout, stderr }: CommandResult): Promise<string[]> {
  const secrets = [postgres.password, Buffer.from(postgres.password).toString("hex"), "SCRAM-SHA-256$"];
  const dump = code === EXIT.done ? await inServer(postgres, `pg_dump --dbname=${LIVE} || true`) : "";
  return secrets.some(secret => `${dump}${stdout}${stderr}`.includes(secret)) ? ["a password was read"] : [];
}

/** A restore that succeeded has set the old database aside; one that failed has not. */
async function unclaimed(
  postgres: TestPostgres,
  { code }: CommandResult,
  restores: number,
): Promise<string[]> {
  const aside = await databasesSetAside(postgres).catch((error: Error) => error);
  if (aside instanceof Error) return [aside.message];
  const missing = code === EXIT.done && aside.length === 0;
  return missing || aside.length > restores
    ? [`exit code ${code}, and set aside are: ${aside.join(", ") || "none"}`]
    : [];
}

/** Removes the safety backups, which are all of the same database. */
async function forgetSafetyBackups(agent: TestAgent): Promise<void> {
  await agent.exec([
    "sh",
    "-c",
    "cd /backups && grep -l before-restore budgie_*.json | sed 's/[.]json$//' | while read -r name; do rm -f $name.*; done",
  ]);
}
