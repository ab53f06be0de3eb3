import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd, startReader } from "../base/child-process.ts";
import { inDatabase } from "../server/connection.ts";
import type { ThrowawayServer } from "../throwaway/server.ts";

/** A relation whose pages are not what they must be. */
export interface DamagedRelation {
  kind: "table" | "index";
  /** `public.users` */
  name: string;
  /** What PostgreSQL says of it. */
  why: string;
}

export interface CheckedRelations {
  damaged: DamagedRelation[];
  /** Why nothing was checked; null when it was. */
  notChecked: string | null;
}

/** pg_amcheck's exit code when it has found damage. */
const FOUND = 2;
const LONGEST_OUTPUT = 1 << 20;

/**
 * Has PostgreSQL's pg_amcheck look at every page of every table and B-tree index of a database, and for every row in its indexes. It
 * makes the extension amcheck for that, so only for a server to throw away. Throws a Stop when it comes to no end.
 */
export async function checkRelations(server: ThrowawayServer, database: string): Promise<CheckedRelations> {
  const before = await lookForExtension(server, database);
  if (before === "missing")
    return { damaged: [], notChecked: "the image of the database has no extension amcheck" };
  const started = startReader(
    "pg_amcheck",
    ["--no-password", "--install-missing", "--heapallindexed"],
    "pipe",
    server.lost,
    { ...server.client, env: { ...server.client.env, PGDATABASE: database, LC_ALL: "C" } },
  );
  let output = "";
  for await (const part of started.output)
    if (output.length < LONGEST_OUTPUT) output += part.toString("utf8");
  const end = await started.finished;
  server.lost.throwIfAborted();
  if (before === "can be made") await dropExtension(server, database);
  if (end.code === null && end.errors.includes("ENOENT"))
    return { damaged: [], notChecked: "the image of the database has no pg_amcheck" };
  const damaged = parseDamage(output, database);
  if (end.code === 0 || (end.code === FOUND && damaged.length > 0)) return { damaged, notChecked: null };
  const trouble = await server.trouble();
  throw new Stop(
    EXIT.failed,
    `The recovered database could not be checked: ${trouble ?? `pg_amcheck ended with ${describeEnd(end)}`}.`,
    "Run the same command again. If it ends so again, pages of PostgreSQL's own tables may be damaged: npx budgie logs db",
  );
}

function lookForExtension(
  { settings }: ThrowawayServer,
  database: string,
): Promise<"missing" | "can be made" | "there"> {
  return inDatabase(settings, database, "budgie drill", async session => {
    const { rows } = await session.query<{ there: boolean }>(
      "SELECT installed_version IS NOT NULL AS there FROM pg_available_extensions WHERE name = 'amcheck'",
    );
    if (!rows[0]) return "missing";
    return rows[0].there ? "there" : "can be made";
  });
}

/** What is compared next must be what was recovered, and nothing else. */
async function dropExtension({ settings }: ThrowawayServer, database: string): Promise<void> {
  await inDatabase(settings, database, "budgie drill", session =>
    session.query("DROP EXTENSION IF EXISTS amcheck"),
  );
}

/** Each report is a line that names the relation, and indented lines that say what is wrong. The first of each relation is kept. */
export function parseDamage(output: string, database: string): DamagedRelation[] {
  const found = new Map<string, DamagedRelation>();
  const reports = output.matchAll(/^(heap table|btree index) "(.*?)"(, block .*)?:\n((?:[ \t]+.*\n?)*)/gm);
  for (const [, kind = "", relation = "", where = "", text = ""] of reports) {
    const name = relation.startsWith(`${database}.`) ? relation.slice(database.length + 1) : relation;
    if (found.has(name)) continue;
    const said =
      text
        .trim()
        .split("\n")[0]
        ?.replace(/^(ERROR|WARNING):\s+/, "") ?? "";
    found.set(name, {
      kind: kind === "heap table" ? "table" : "index",
      name,
      why: `${where.replace(/^, /, "")}${where ? ": " : ""}${said}`,
    });
  }
  return [...found.values()];
}
