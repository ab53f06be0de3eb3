import type pg from "pg";
import { type Finished, type RunAs, startFilter } from "../base/child-process.ts";
import { refuse } from "../base/refuse.ts";
import { ContentFingerprinter, type DumpContent, isRestriction, tableName } from "../dump/fingerprint.ts";
import type { TakePart } from "../dump/parts.ts";
import { psqlArguments } from "../dump/pg-dump.ts";
import { DumpReader, type Piece } from "../dump/reader.ts";
import { type DumpSchema, SchemaCollector } from "../dump/schema.ts";
import { withOptions } from "../server/client-programs.ts";
import type { LoadedTable } from "./compare-rows.ts";
import { MarkWatch, newMark, printMark } from "./program-marks.ts";
import { PsqlInput } from "./psql-input.ts";
import { findRelation, type Relation } from "./relation.ts";
import { restriction } from "./restriction.ts";
import { wholeStatement } from "./whole-statement.ts";

/** Gives out a dump's SQL, as often as it is called. Returns the sha256 of the bytes that held the SQL, if it was asked for that. */
export type ReadDumpSql = (take: TakePart) => Promise<string | null>;

export interface LoadTarget {
  database: string;
  /** For psql: which server, and with whose rights. */
  client: RunAs;
  /** In the same database, with a superuser's rights: what it asks is not the dump's to see. */
  session: pg.Client;
  /** The server's major version. */
  major: number;
  signal: AbortSignal;
  /** Tables whose rows come in several blocks: none of these may empty them. */
  inSeveralBlocks: ReadonlySet<string>;
  /** Whether all that is loaded is to belong to whoever loads it. */
  withoutOwners: boolean;
}

/** What is known of a dump once it was loaded. */
export interface LoadedSql {
  /** How psql ended. */
  end: Finished;
  content: DumpContent;
  /** Of the bytes that the SQL was in, where `read` tells it. */
  fileSha256: string | null;
  schema: DumpSchema;
  /** Settings of a newer PostgreSQL that this one does not know, left out. */
  leftOut: string[];
  /** How many statements would remove what is not there, left out. */
  removals: number;
  /** Tables with rows whose like cannot be read back, by name. */
  notReadable: string[];
}

/**
 * Nobody hears of a row in a candidate before the swap, and the swap's own COMMIT writes all WAL before it to the disk. So none of
 * the load's commits, one for each statement, needs to wait for the disk. The memory is for building indexes. A name without a schema,
 * in a file that says nothing of it, means what it means to psql: pg_dump's own files say where they search.
 */
const LOADING = { synchronous_commit: "off", maintenance_work_mem: "128MB", search_path: "public" };

/** pg_dump grants as whoever has granted, and can make each object as its owner. Only a superuser can become somebody else. */
const AS_SOMEBODY_ELSE =
  /^\s*(?:SET SESSION AUTHORIZATION (?:"(?:[^"]|"")+"|'(?:[^']|'')+'|\w+)|RESET SESSION AUTHORIZATION);$/;
const LONGEST_AUTHORIZATION = 300;

function isAboutOwners(statement: Buffer): boolean {
  return statement.length < LONGEST_AUTHORIZATION && AS_SOMEBODY_ELSE.test(statement.toString("latin1"));
}

/** What pg_dump --clean writes before the first object, to empty a database that is not empty. */
const REMOVAL = /^\s*(?:DROP |ALTER [\s\S]+ DROP |CREATE OR REPLACE VIEW |SELECT pg_catalog\.lo_unlink\()/;
/** It is there in an empty database as well, and the dump makes it again. */
const REMOVES_PUBLIC = /^\s*DROP SCHEMA (?:IF EXISTS )?public;$/;
const SETS = /^\s*(?:SET |SELECT pg_catalog\.set_config\()/;

/** Before the first object, a dump holds settings and removals. Behind it, what looks like a removal makes the object what it is. */
function kindOfStatement(statement: Buffer): "setting" | "removal" | "other" {
  const text = statement.toString("latin1");
  if (SETS.test(text) || REMOVES_PUBLIC.test(text)) return "setting";
  return REMOVAL.test(text) ? "removal" : "other";
}

/** psql puts such a variable's value in the place of a column of its name behind a colon, as in `a[1:"USER"]`. */
const VARIABLES = ["DBNAME", "USER", "HOST", "PORT", "ENCODING", "SERVICE", "VERSION", "VERSION_NAME"];
const WITHOUT_VARIABLES = VARIABLES.map(name => `\\unset ${name}\n`).join("");

/** Settings that pg_dump writes at a dump's head, and the major version that first knows them. */
const NEWER_SETTINGS: Readonly<Record<string, number>> = { transaction_timeout: 17 };

/**
 * psql's exit code for an error in what it loads. The same code comes when the server broke off meanwhile: then the server's
 * log says so. psql's other codes are about itself or its connection.
 */
export const SCRIPT_ERROR = 3;

/**
 * Loads a dump's SQL with psql and stops at the first error. Tells `onTable` of each table as soon as its rows are committed.
 *
 * psql's own commands are shut off twice. psql itself does so, until it reads a token that nobody else knows. And every command that
 * the dump holds is refused here, because an older psql cannot shut them off. Each table is emptied in the transaction that fills
 * it. So its rows lie in the dump's order whatever their widths, and they are frozen, so whoever reads them first need not note
 * that they are committed.
 *
 * Throws a Stop for a dump that is not what pg_dump writes. What `read` fails with is passed on.
 */
export async function loadSql(
  read: ReadDumpSql,
  target: LoadTarget,
  onTable: (table: LoadedTable) => void,
): Promise<LoadedSql> {
  const { database, client, signal } = target;
  const psql = startFilter(
    "psql",
    psqlArguments(database, "budgie load"),
    signal,
    withOptions(client, LOADING),
  );
  const feeding = new Feed(new PsqlInput(psql.input), psql.output, target, onTable);
  let fileSha256: string | null;
  try {
    await feeding.begin(await restriction(client));
    fileSha256 = await read(part => feeding.part(part));
    await feeding.finish();
  } catch (error) {
    psql.process.kill("SIGKILL");
    await psql.finished;
    signal.throwIfAborted();
    throw error;
  }
  psql.input.end();
  const end = await psql.finished;
  signal.throwIfAborted();
  return { end, fileSha256, ...feeding.result() };
}

class Feed {
  readonly #input: PsqlInput;
  readonly #target: LoadTarget;
  readonly #onTable: (table: LoadedTable) => void;
  readonly #mark = newMark();
  readonly #marks: MarkWatch;
  readonly #content = new ContentFingerprinter();
  readonly #schema = new SchemaCollector();
  readonly #pieces: Piece[] = [];
  readonly #reader = new DumpReader(piece => this.#pieces.push(piece));
  readonly #leftOut: string[] = [];
  #removals = 0;
  #hasMade = false;
  readonly #notReadable: string[] = [];
  #lastMark = 0;
  #whole = false;
  /** The table whose rows are being written. */
  #table: { name: string; copy: Buffer; relation: Relation | null; inTransaction: boolean } | null = null;

  constructor(
    input: PsqlInput,
    output: AsyncIterable<Buffer>,
    target: LoadTarget,
    onTable: (table: LoadedTable) => void,
  ) {
    this.#input = input;
    this.#target = target;
    this.#onTable = onTable;
    this.#marks = new MarkWatch(this.#mark, output);
  }

  async begin(restriction: Buffer | null): Promise<void> {
    await this.#input.write(Buffer.from(WITHOUT_VARIABLES));
    if (restriction) await this.#input.write(restriction);
  }

  /** Goes on to the dump's end even when psql has ended: it must be known in either case whether the dump is whole. */
  async part(part: Buffer): Promise<void> {
    this.#reader.read(part);
    await this.#takePieces();
  }

  async finish(): Promise<void> {
    this.#whole = this.#reader.end();
    await this.#takePieces();
  }

  result(): Omit<LoadedSql, "end" | "fileSha256"> {
    return {
      content: this.#content.finish(this.#whole),
      schema: this.#schema.finish(),
      leftOut: this.#leftOut,
      removals: this.#removals,
      notReadable: this.#notReadable,
    };
  }

  async #takePieces(): Promise<void> {
    for (const piece of this.#pieces) {
      this.#content.take(piece);
      this.#schema.take(piece);
      if (piece.kind === "command") this.#refuseCommand(piece);
      else if (piece.kind === "copy") await this.#beginTable(piece.statement);
      else if (piece.kind === "end") await this.#endTable(piece.bytes);
      else if (piece.kind !== "statement") await this.#input.write(piece.bytes);
      else if (!this.#leavesOut(piece.bytes))
        await this.#input.write(piece.psqlWaits ? wholeStatement(piece.bytes) : piece.bytes);
    }
    this.#pieces.length = 0;
    await this.#input.flush();
  }

  #refuseCommand({ text, line }: { text: string; line: number }): void {
    if (isRestriction(text)) return;
    throw refuse(
      `line ${line} holds a command for psql (${text.slice(0, 60)}), which a dump has no need of`,
      "Look at what the file does. A dump that pg_dump made without --create holds no such command.",
    );
  }

  #leavesOut(statement: Buffer): boolean {
    if (this.#target.withoutOwners && isAboutOwners(statement)) return true;
    if (!this.#hasMade) {
      const kind = kindOfStatement(statement);
      if (kind === "removal") {
        this.#removals++;
        return true;
      }
      this.#hasMade = kind === "other";
    }
    if (statement.length > 80 || statement[0] !== 0x53) return false;
    const setting = /^SET (\w+) = [^;]*;$/.exec(statement.toString("latin1"))?.[1];
    if (setting === undefined || (NEWER_SETTINGS[setting] ?? 0) <= this.#target.major) return false;
    this.#leftOut.push(setting);
    return true;
  }

  async #beginTable(statement: Buffer): Promise<void> {
    const copy = Buffer.from(statement);
    const name = tableName(copy.toString("utf8"));
    const written = tableName(copy.toString("latin1"));
    const relation = this.#input.ended ? null : await this.#relation(Buffer.from(written, "latin1"));
    const inTransaction =
      relation?.kind === "r" && !relation.ofExtension && !this.#target.inSeveralBlocks.has(name);
    this.#table = { name, copy, relation, inTransaction };
    if (!inTransaction) return this.#input.write(Buffer.concat([copy, Buffer.from("\n")]));
    const frozen = copy.subarray(0, copy.length - 1);
    const parts = ["BEGIN;TRUNCATE ONLY ", written, ";", frozen.toString("latin1")];
    await this.#input.write(Buffer.from(`${parts.join("")} WITH (FREEZE);\n`, "latin1"));
  }

  async #endTable(end: Buffer): Promise<void> {
    const table = this.#table;
    this.#table = null;
    const read = this.#content.lastTable;
    if (!table || !read) return;
    const number = ++this.#lastMark;
    const statements = `${table.inTransaction ? "COMMIT;" : ""}${printMark(this.#mark, number)}`;
    await this.#input.write(Buffer.concat([end, Buffer.from(statements)]));
    // No rows can be copied out of a partitioned table, and several blocks cannot be told apart.
    const readable = table.relation?.kind === "r" && !this.#target.inSeveralBlocks.has(table.name);
    if (table.relation === null || !readable) {
      if (read.rows > 0) this.#notReadable.push(table.name);
      return;
    }
    const { oid, condition } = table.relation;
    const { name, copy } = table;
    const { rows, sha256 } = read;
    const encoding = this.#content.clientEncoding ?? "UTF8";
    const loaded = { name, copy, rows, sha256, oid, condition, encoding };
    void this.#marks.reached(number).then(() => this.#onTable(loaded));
  }

  #find(name: Buffer): Promise<Relation | null> {
    return findRelation(this.#target.session, name, this.#content.clientEncoding ?? "UTF8");
  }

  /** Waits for psql, which may not have come to the statement that makes the table. */
  async #relation(name: Buffer): Promise<Relation | null> {
    const found = await this.#find(name);
    if (found) return found;
    const number = ++this.#lastMark;
    await this.#input.write(Buffer.from(`${printMark(this.#mark, number)}\n`));
    await this.#input.flush();
    const closed = this.#input.closed();
    if (this.#input.ended) return null;
    await Promise.race([this.#marks.reached(number), closed]);
    return this.#input.ended ? null : this.#find(name);
  }
}
