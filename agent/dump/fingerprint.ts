import { createHash, type Hash } from "node:crypto";
import { DumpReader, type Piece } from "./reader.ts";

/** One table's data in a plain dump: how many rows, and the sha256 of its COPY block. */
export interface TableFingerprint {
  /** As pg_dump writes it, schema-qualified and quoted where needed: `public.users`. */
  name: string;
  /** The whole COPY statement. It names the columns in order, so it identifies the block better than the table's name. */
  copy: string;
  rows: number;
  sha256: string;
}

/** What a plain dump says, in a form in which two dumps can be compared. */
export interface DumpFingerprint {
  bytes: number;
  /** sha256 of every byte of the (uncompressed) dump. */
  sha256: string;
  /**
   * sha256 of all that is not table data: schema, sequence positions, large objects. Without the lines that differ
   * between two dumps of the same database: the random \restrict token and the two version lines.
   */
  schemaSha256: string;
  tables: TableFingerprint[];
  /** The longest row, in bytes of table data with its line end: what it takes in memory follows from that. null without rows. */
  longestRow: LongestRow | null;
  /** From the dump's own head, such as `16.14`; null where it says none. */
  serverVersion: string | null;
  pgDumpVersion: string | null;
  /** What the dump says of its own bytes: `UTF8`. null where it says nothing. */
  clientEncoding: string | null;
  /** The head that pg_dump writes before anything else. */
  hasHeader: boolean;
  /** It was made by pg_dumpall, of a whole server. */
  wholeServer: boolean;
  /** pg_dump's own completion line came, and came outside of any table's data. */
  complete: boolean;
  /** The first psql command, apart from those with which pg_dump shuts such commands off; null if there is none. */
  command: PsqlCommand | null;
  /** Roles that own something or are granted something, as the dump names them. */
  roles: string[];
}

/** The same of a dump that was read in pieces, without what only all of its bytes tell. */
export type DumpContent = Omit<DumpFingerprint, "bytes" | "sha256">;

export interface PsqlCommand {
  text: string;
  line: number;
}

export interface LongestRow {
  table: string;
  bytes: number;
}

const NEWLINE = 0x0a;
/** A name may hold a semicolon, or what ends a line in Unicode. */
const OWNER = /^-- (?:Data for )?Name: .*; Type: .*; Schema: .*; Owner: (.+?)(?:; Tablespace:.*)?$/s;

/** Reads a plain dump as it streams past, in chunks of any size, with memory that does not grow with the dump. */
export class DumpFingerprinter {
  readonly #all = createHash("sha256");
  readonly #reader = new DumpReader(piece => this.#content.take(piece));
  readonly #content = new ContentFingerprinter();
  #bytes = 0;

  /** Bytes seen so far. */
  get bytes(): number {
    return this.#bytes;
  }

  update(chunk: Buffer): void {
    this.#all.update(chunk);
    this.#bytes += chunk.length;
    this.#reader.read(chunk);
  }

  finish(): DumpFingerprint {
    const whole = this.#reader.end();
    return { bytes: this.#bytes, sha256: this.#all.digest("hex"), ...this.#content.finish(whole) };
  }
}

/** The same for a caller that reads the pieces itself, without what only all of the bytes tell. */
export class ContentFingerprinter {
  readonly #schema = createHash("sha256");
  readonly #tables: TableFingerprint[] = [];
  readonly #roles = new Set<string>();
  #table: { name: string; copy: string; rows: number; hash: Hash } | null = null;
  #row = 0;
  #longestRow: LongestRow | null = null;
  #serverVersion: string | null = null;
  #pgDumpVersion: string | null = null;
  #clientEncoding: string | null = null;
  #hasHeader = false;
  #wholeServer = false;
  #complete = false;
  #command: PsqlCommand | null = null;

  take(piece: Piece): void {
    if (piece.kind === "rows") this.#takeRows(piece.bytes);
    else if (piece.kind === "copy") this.#beginTable(piece);
    else if (piece.kind === "end") this.#endTable();
    else if (!this.#differsBetweenDumps(piece)) this.#schema.update(piece.bytes);
  }

  /** `whole`: the dump ended where a statement ended. */
  finish(whole: boolean): DumpContent {
    return {
      schemaSha256: this.#schema.digest("hex"),
      tables: this.#tables,
      longestRow: this.#longestRow,
      serverVersion: this.#serverVersion,
      pgDumpVersion: this.#pgDumpVersion,
      clientEncoding: this.#clientEncoding,
      hasHeader: this.#hasHeader,
      wholeServer: this.#wholeServer,
      complete: this.#complete && whole,
      command: this.#command,
      roles: [...this.#roles].sort(),
    };
  }

  /** As far as it is known by now. */
  get clientEncoding(): string | null {
    return this.#clientEncoding;
  }

  /** The table whose data was read last; null before the first one's end. */
  get lastTable(): TableFingerprint | null {
    return this.#tables.at(-1) ?? null;
  }

  #differsBetweenDumps(piece: Exclude<Piece, { kind: "rows" | "copy" | "end" }>): boolean {
    if (piece.kind === "comment") return this.#understandComment(piece.bytes);
    if (piece.kind === "statement") this.#understandStatement(piece.bytes);
    if (piece.kind !== "command") return false;
    if (isRestriction(piece.text)) return true;
    this.#command ??= { text: piece.text, line: piece.line };
    return false;
  }

  /** Returns whether the comment differs between two dumps of one database. */
  #understandComment(bytes: Buffer): boolean {
    const text = bytes.toString("utf8").trimEnd();
    const version = /^-- Dumped (?:from database|by pg_dump) version (\S+)/.exec(text)?.[1];
    if (version !== undefined) {
      if (text.startsWith("-- Dumped from")) this.#serverVersion ??= version;
      else this.#pgDumpVersion ??= version;
      return true;
    }
    if (text === "-- PostgreSQL database dump") this.#hasHeader = true;
    else if (text === "-- PostgreSQL database dump complete") this.#complete = true;
    else if (text === "-- PostgreSQL database cluster dump") this.#wholeServer = true;
    else {
      const owner = OWNER.exec(text)?.[1];
      if (owner !== undefined && owner !== "-") this.#roles.add(owner);
    }
    return false;
  }

  #understandStatement(bytes: Buffer): void {
    // Only SET client_encoding, GRANT and REVOKE are looked at: a dump may hold a statement for each row.
    const first = bytes[0];
    if (first === 0x53 && bytes.length < 80) {
      const encoding = /^SET client_encoding = '([^']+)';$/.exec(bytes.toString("latin1"))?.[1];
      if (encoding) this.#clientEncoding = encoding;
    } else if (first === 0x47 || first === 0x52) {
      const role = / (?:TO|FROM) ("(?:[^"]|"")+"|[^\s";,]+)(?: WITH GRANT OPTION)?;$/.exec(
        bytes.toString("utf8"),
      )?.[1];
      if (role && role !== "PUBLIC") this.#roles.add(unquoted(role));
    }
  }

  #beginTable({ statement, bytes }: { statement: Buffer; bytes: Buffer }): void {
    this.#schema.update(bytes);
    this.#complete = false;
    const copy = statement.toString("utf8");
    this.#row = 0;
    this.#table = { name: tableName(copy), copy, rows: 0, hash: createHash("sha256") };
  }

  #takeRows(rows: Buffer): void {
    if (!this.#table) return;
    this.#table.hash.update(rows);
    let start = 0;
    for (let at = rows.indexOf(NEWLINE); at >= 0; at = rows.indexOf(NEWLINE, start)) {
      this.#row += at + 1 - start;
      if (this.#row > (this.#longestRow?.bytes ?? 0))
        this.#longestRow = { table: this.#table.name, bytes: this.#row };
      this.#row = 0;
      this.#table.rows++;
      start = at + 1;
    }
    this.#row += rows.length - start;
  }

  #endTable(): void {
    if (!this.#table) return;
    const { name, copy, rows, hash } = this.#table;
    this.#tables.push({ name, copy, rows, sha256: hash.digest("hex") });
    this.#table = null;
  }
}

/** pg_dump's own way of shutting psql's commands off, with another token in each dump. */
export function isRestriction(command: string): boolean {
  return /^\\(un)?restrict [A-Za-z0-9]+$/.test(command);
}

/** `public."odd (name)"` out of `COPY public."odd (name)" (id, email) FROM stdin;` */
export function tableName(copy: string): string {
  return /^COPY ((?:"(?:[^"]|"")*"|[^\s."]+)(?:\.(?:"(?:[^"]|"")*"|[^\s."]+))?)/.exec(copy)?.[1] ?? copy;
}

function unquoted(identifier: string): string {
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;
}
