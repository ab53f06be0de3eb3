import { EXIT, Stop } from "../../shared/exit-codes.ts";

/**
 * What kind of value a column holds, as far as its cost goes: `arrays` are of plain values of four bytes or more, `smallArrays` of
 * shorter ones, `nested` are arrays of anything else, and composites; `ranges` are also multiranges and arrays of them.
 */
export type ValueKind =
  | "text"
  | "bytea"
  | "xml"
  | "jsonb"
  | "bits"
  | "arrays"
  | "smallArrays"
  | "ranges"
  | "nested"
  | "other";

/** What one value costs, for each byte that it has in memory when it is neither compressed nor text. */
export interface ValueCost {
  /** Memory of the server's while it writes the row out by COPY TO, as a dump and a comparison do. */
  dumping: number;
  /** The same while it reads the row by COPY FROM. */
  loading: number;
  /** Bytes in the text of COPY, at most or nearly so. */
  written: number;
  /** Bytes there at the least. */
  writtenAtLeast: number;
}

/**
 * Measured as the peak of a backend's own memory (RssAnon) with PostgreSQL 16.14, over rows of 3 to 800 MB of text, one and several in a
 * table, compressible and not. Each grows in proportion to the value. Rounded up to the worst content that was tried:
 * - text: dumping holds the value, its copy and the line of the row before (3.1; 4.1 when every character is doubled), loading the line,
 *   the field, the value and the row (4.0) and what compressing it takes (4.7; 5.0 all doubled)
 * - bytea: dumping holds the value, its hex digits and the line (5.0), loading the line, the field, the value and the row (6.0 to 6.8)
 * - jsonb: dumping 3.1 to 7.1, loading 8 to 27, the more the smaller its elements are; xml: 4.6, and 27 to 45 for libxml's tree
 * - arrays: dumping 4.5 to 15.8 (elements of one or two bytes 31), loading 4.9 to 16.8; of jsonb, points and composites 71 and 94
 * - multiranges and arrays of ranges: 251 and 180
 */
export const COSTS: Record<ValueKind, ValueCost> = {
  text: { dumping: 4, loading: 5, written: 1, writtenAtLeast: 1 },
  bytea: { dumping: 5, loading: 7, written: 2, writtenAtLeast: 2 },
  xml: { dumping: 5, loading: 48, written: 1, writtenAtLeast: 1 },
  jsonb: { dumping: 8, loading: 28, written: 1, writtenAtLeast: 0 },
  bits: { dumping: 20, loading: 20, written: 8, writtenAtLeast: 0 },
  arrays: { dumping: 16, loading: 20, written: 4, writtenAtLeast: 0 },
  smallArrays: { dumping: 32, loading: 20, written: 2, writtenAtLeast: 0 },
  nested: { dumping: 80, loading: 100, written: 3, writtenAtLeast: 0 },
  ranges: { dumping: 256, loading: 192, written: 2, writtenAtLeast: 0 },
  other: { dumping: 8, loading: 12, written: 3, writtenAtLeast: 0 },
};

/** In a database that is not UTF8 the line is there a second time, converted: text took 5.1 instead of 3, bytea 7.1 instead of 5. */
export const CONVERTED = 1.75;

/** What one row costs, in bytes: the one of its table that costs most. */
export interface RowNeed {
  /** Qualified, and quoted where needed. */
  table: string;
  /** In the text of COPY. */
  bytes: number;
  /** Memory of the server's to write it out. */
  dumping: number;
  /** Memory of the server's to load it. */
  loading: number;
}

/** The longest row that a dump was seen to hold. */
export interface LongestRow {
  table: string;
  /** Of COPY text, with its newline. */
  bytes: number;
}

/** The memory that a container may use, in bytes. */
export interface Room {
  /** null: as much as the machine has. */
  limit: number | null;
  /** What is taken before there is any long row. */
  atRest: number;
}

/** Where a server and the programs that talk to it run. */
export interface MemoryLimits {
  server: Room;
  /** null: in the server's own container. */
  client: Room | null;
}

export type Operation = "dump" | "load" | "compare";
export type Order = "at once" | "one after the other";

const MB = 1024 * 1024;
/** A row that costs less is not looked for, and never refused: sorting and indexes take as much all the time. */
export const MATTERS = 32 * MB;
const GB = 1024 * MB;
/** The most that PostgreSQL allocates at once: no row's text is longer, nor is a value's. */
export const LONGEST_TEXT = GB - 1;
/**
 * Containers with filled shared buffers survived a dump and a load with 157 MB more than the row's need; 128 MB of those are the shared
 * buffers. What other clients' sessions and autovacuum use comes on top.
 */
const SERVER_OWN = 40 * MB;
const OTHER_CLIENTS = 80 * MB;
/** Node, for the agent that always runs and for a command; and what comes of the next row while one is received. */
const AGENT_OWN = 288 * MB;
/** How much more memory the stack gives the agent than the database (components/backup-agent.ts). */
export const AGENT_MORE = 512 * MB;
/** shared_buffers of a throw-away server (throwaway/server.ts). */
const MODEST_BUFFERS = 64 * MB;
/** shared_buffers of a server that says nothing else. */
const USUAL_BUFFERS = 128 * MB;
const UNLIMITED = { database: null, agent: null };
/** pg_dump and psql hold a row that they receive twice (2.0 to 2.1). psql sends a long line in small pieces (0.0). */
const RECEIVED = 2;
/** Of COPY text of an unknown type: text's for each byte of the line. */
const UNKNOWN = { dumping: 3, loading: 4.75 };
/** As much as jsonb of many small objects takes: several rows at once are planned with no less. */
const UNKNOWN_AT_WORST = { dumping: 9, loading: 75 };
/** maintenance_work_mem of a load (load/load-sql.ts), once the rows are there. */
const BUILDING_INDEXES = 128 * MB;
/** The setting is raised in such steps. */
const STEP_MEGABYTES = 256;

/** A stack's own server, with the agent in a container beside it. */
export function besideServer(
  limits: { database: number | null; agent: number | null },
  sharedBuffers: number,
): MemoryLimits {
  return {
    server: { limit: limits.database, atRest: sharedBuffers + SERVER_OWN + OTHER_CLIENTS },
    client: { limit: limits.agent, atRest: AGENT_OWN },
  };
}

/** A throw-away server in the agent's own container. Nobody else uses it. */
export function insideAgent(agent: number | null): MemoryLimits {
  return { server: { limit: agent, atRest: MODEST_BUFFERS + SERVER_OWN + AGENT_OWN }, client: null };
}

/** Whether these operations may go on at once, each with the same row. */
export function fits(limits: MemoryLimits, operations: readonly Operation[], row: RowNeed): boolean {
  return holdsAll(
    limits,
    operations.map(operation => demandOf(operation, row)),
  );
}

/** How many connections may dump at once, at most `wanted`. Each may be at another table's row. Throws a Stop when not even one may. */
export function planDump(limits: MemoryLimits, rows: readonly RowNeed[], wanted: number): number {
  const costliestFirst = [...rows].sort((a, b) => b.dumping - a.dumping);
  const [worst] = costliestFirst;
  if (!worst) return wanted;
  if (!fits(limits, ["dump"], worst)) throw refusal(limits, "dump", worst);
  const demands = costliestFirst.map(row => demandOf("dump", row));
  let connections = wanted;
  while (connections > 1 && !holdsAll(limits, demands.slice(0, connections))) connections--;
  return connections;
}

export interface LoadPlan {
  /** Whether a safety backup would run beside the load. */
  safetyBackupAlongside: boolean;
  /** The costliest row of what the safety backup saves; null: none matters. Where it is not known, the load's own counts for it. */
  liveRow?: RowNeed | null | undefined;
  /** The costliest row as it was recorded with the backup; null: none matters. Without it the longest row's type is not known. */
  recorded?: RowNeed | null | undefined;
  /** How many connections load at once. @default 1 */
  connections?: number;
}

/**
 * Whether loading, comparing and a safety backup may go on at once. Throws a Stop that names the table and the setting when there is
 * no room for one of them alone. Alone, a value of an unknown type is counted as text: a value that takes more (jsonb, arrays) took
 * as much of its own server when it was first stored.
 */
export function planLoad(limits: MemoryLimits, longestRow: LongestRow | null, plan: LoadPlan): Order {
  const { recorded } = plan;
  if (recorded === null || (!recorded && !longestRow)) return "at once";
  const row = recorded ?? needOf(longestRow as LongestRow, UNKNOWN);
  for (const operation of ["load", "compare"] as const) {
    if (!fits(limits, [operation], row)) throw refusal(limits, operation, row);
  }
  const atWorst = recorded ?? needOf(longestRow as LongestRow, UNKNOWN_AT_WORST);
  const loading = Math.max(demandOf("load", atWorst).server * (plan.connections ?? 1), BUILDING_INDEXES);
  const demands = [
    { server: loading, client: 0 },
    demandOf("compare", atWorst),
    ...(plan.safetyBackupAlongside ? [demandOf("dump", liveRow(plan, atWorst))] : []),
  ];
  return holdsAll(limits, demands) ? "at once" : "one after the other";
}

function liveRow({ liveRow }: LoadPlan, atWorst: RowNeed): RowNeed {
  if (liveRow === undefined) return atWorst;
  return liveRow ?? { table: "", bytes: 0, dumping: MATTERS, loading: MATTERS };
}

/** The most that any row needs for each purpose, under the name of the row that costs most to load. Null when there is no row. */
export function costliest(rows: readonly RowNeed[]): RowNeed | null {
  const [first] = [...rows].sort((a, b) => b.loading - a.loading);
  if (!first) return null;
  return {
    table: first.table,
    bytes: Math.max(...rows.map(row => row.bytes)),
    dumping: Math.max(...rows.map(row => row.dumping)),
    loading: first.loading,
  };
}

/** Throws a Stop for a row that no pg_dump can write. */
export function requireWritable(table: string, writtenAtLeast: number): void {
  if (writtenAtLeast <= LONGEST_TEXT) return;
  throw new Stop(
    EXIT.failed,
    `A row of ${table} is ${megabytes(writtenAtLeast)} long as text. PostgreSQL writes and reads no row that is longer than ${megabytes(LONGEST_TEXT)}, so no pg_dump can back it up.`,
    "Divide its values over several rows, or keep them as large objects, then run the same command again.",
  );
}

/** What `budgie:databaseMemoryMegabytes` must be for a row: to dump it, to restore it, and to drill it in the agent. */
function fittingMegabytes(row: RowNeed, { server, client }: MemoryLimits): number {
  const live = client === null ? besideServer(UNLIMITED, USUAL_BUFFERS).server : server;
  const drill = insideAgent(null).server;
  const load = demandOf("load", row);
  const compare = demandOf("compare", row);
  const needed = Math.max(
    live.atRest + Math.max(load.server, compare.server),
    drill.atRest + Math.max(load.server + load.client, compare.server + compare.client) - AGENT_MORE,
  );
  return Math.ceil(needed / MB / STEP_MEGABYTES) * STEP_MEGABYTES;
}

interface Demand {
  server: number;
  client: number;
}

function demandOf(operation: Operation, row: RowNeed): Demand {
  if (operation === "load") return { server: row.loading, client: 0 };
  return { server: row.dumping, client: RECEIVED * row.bytes };
}

function needOf({ table, bytes }: LongestRow, { dumping, loading }: Record<"dumping" | "loading", number>) {
  return { table, bytes, dumping: bytes * dumping, loading: bytes * loading };
}

function holdsAll({ server, client }: MemoryLimits, demands: readonly Demand[]): boolean {
  const onServer = sum(demands.map(demand => demand.server));
  const onClient = sum(demands.map(demand => demand.client));
  if (client === null) return holds(server, onServer + onClient);
  return holds(server, onServer) && holds(client, onClient);
}

function holds({ limit, atRest }: Room, demand: number): boolean {
  return demand <= MATTERS || limit === null || atRest + demand <= limit;
}

const DOING = { dump: "Dumping", load: "Loading", compare: "Reading back" };

function refusal(limits: MemoryLimits, operation: Operation, row: RowNeed): Stop {
  const { container, room, needed } = shortOf(limits, demandOf(operation, row));
  return new Stop(
    EXIT.failed,
    `The longest row of ${row.table} has about ${megabytes(row.bytes)} as text. ${DOING[operation]} it takes up to ${megabytes(room.atRest + needed)} in the ${container}'s container, where the kernel kills whatever needs more than ${megabytes(room.limit ?? 0)}.`,
    `Allow more, then run the same command again: npm run pulumi -- config set budgie:databaseMemoryMegabytes ${fittingMegabytes(row, limits)} && npm run up`,
  );
}

function shortOf({ server, client }: MemoryLimits, demand: Demand) {
  const agent = "backup agent";
  if (client === null) return { container: agent, room: server, needed: demand.server + demand.client };
  if (holds(server, demand.server)) return { container: agent, room: client, needed: demand.client };
  return { container: "database", room: server, needed: demand.server };
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / MB)} MB`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
