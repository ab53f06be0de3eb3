import { createHash, type Hash } from "node:crypto";

/** One table's data in a plain dump: how many rows, and the sha256 of its COPY block. */
export interface TableFingerprint {
  /** As pg_dump writes it, schema-qualified and quoted where needed: `public.users`. */
  name: string;
  /** The whole COPY line. It names the columns in order, so it identifies the block better than the table's name. */
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
  /** From the dump's own head, such as `16.14`; null where it says none. */
  serverVersion: string | null;
  pgDumpVersion: string | null;
  /** The head that pg_dump writes before anything else. */
  hasHeader: boolean;
  /** pg_dump's own completion line came, and came outside of any table's data. */
  complete: boolean;
  /** A psql command that would leave the database which the dump is being loaded into; null if there is none. */
  escape: string | null;
}

const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
const END_OF_COPY = Buffer.from("\n\\.\n");
/** A COPY line names at most 1,600 columns of 63 bytes; anything longer is a value, not a statement to understand. */
const LONGEST_STATEMENT = 1 << 20;
const NOTHING = Buffer.alloc(0);

/**
 * Reads a plain dump as it streams past, in chunks of any size, with memory that does not grow with the dump.
 *
 * A line counts as the start of table data only if pg_dump's own comment announced it, so that a function body or a
 * comment that quotes a COPY statement is not taken for one.
 */
export class DumpFingerprinter {
  readonly #all = createHash("sha256");
  readonly #schema = createHash("sha256");
  readonly #tables: TableFingerprint[] = [];
  #table: { name: string; copy: string; rows: number; hash: Hash } | null = null;
  #held: Buffer = NOTHING;
  #atBlockStart = false;
  #insideLongLine = false;
  #dataAnnounced = false;
  #bytes = 0;
  #serverVersion: string | null = null;
  #pgDumpVersion: string | null = null;
  #hasHeader = false;
  #complete = false;
  #escape: string | null = null;

  /** Bytes seen so far. */
  get bytes(): number {
    return this.#bytes;
  }

  update(chunk: Buffer): void {
    this.#all.update(chunk);
    this.#bytes += chunk.length;
    let data = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    while (data.length > 0) {
      const rest = this.#table ? this.#readRows(data) : this.#readLine(data);
      if (rest === null) break;
      data = rest;
    }
    // The caller may use its buffer again.
    if (this.#held.length > 0) this.#held = Buffer.from(this.#held);
  }

  finish(): DumpFingerprint {
    const cutInsideTable = this.#table !== null;
    if (!cutInsideTable && this.#held.length > 0) {
      const lastLine = this.#held;
      this.#held = NOTHING;
      this.#understand(lastLine);
    }
    return {
      bytes: this.#bytes,
      sha256: this.#all.digest("hex"),
      schemaSha256: this.#schema.digest("hex"),
      tables: this.#tables,
      serverVersion: this.#serverVersion,
      pgDumpVersion: this.#pgDumpVersion,
      hasHeader: this.#hasHeader,
      complete: this.#complete && !cutInsideTable,
      escape: this.#escape,
    };
  }

  /** Consumes one line outside of table data; null when the chunk ends first. */
  #readLine(data: Buffer): Buffer | null {
    const end = data.indexOf(NEWLINE);
    if (this.#insideLongLine) {
      this.#schema.update(end < 0 ? data : data.subarray(0, end + 1));
      if (end < 0) return null;
      this.#insideLongLine = false;
      return data.subarray(end + 1);
    }
    if (end < 0) {
      if (data.length > LONGEST_STATEMENT) {
        this.#insideLongLine = true;
        this.#schema.update(data);
      } else {
        this.#held = data;
      }
      return null;
    }
    this.#understand(data.subarray(0, end + 1));
    return data.subarray(end + 1);
  }

  #understand(line: Buffer): void {
    if (!isWorthReading(line)) {
      this.#schema.update(line);
      return;
    }
    const text = line.toString("utf8").trimEnd();
    if (text.startsWith("\\restrict ") || text.startsWith("\\unrestrict ")) return;
    if (/^\\(c|connect)(\s|$)/.test(text)) this.#escape ??= text;
    const server = /^-- Dumped from database version (\S+)/.exec(text);
    if (server) {
      this.#serverVersion ??= server[1] ?? null;
      return;
    }
    const client = /^-- Dumped by pg_dump version (\S+)/.exec(text);
    if (client) {
      this.#pgDumpVersion ??= client[1] ?? null;
      return;
    }
    this.#schema.update(line);
    if (text === "-- PostgreSQL database dump") this.#hasHeader = true;
    if (text === "-- PostgreSQL database dump complete") this.#complete = true;
    if (/^-- (Data for )?Name: .*; Type: TABLE DATA; /.test(text)) {
      this.#dataAnnounced = true;
    } else if (text.startsWith("COPY ") && text.endsWith(" FROM stdin;") && this.#dataAnnounced) {
      this.#dataAnnounced = false;
      this.#complete = false;
      this.#atBlockStart = true;
      this.#table = { name: tableName(text), copy: text, rows: 0, hash: createHash("sha256") };
    }
  }

  /** Consumes rows up to and including the line `\.`; null when the chunk ends first. */
  #readRows(data: Buffer): Buffer | null {
    if (this.#atBlockStart) {
      if (data.length < 3 && END_OF_COPY.subarray(1).indexOf(data) === 0) {
        this.#held = data;
        return null;
      }
      if (data[0] === BACKSLASH && data[1] === 0x2e && data[2] === NEWLINE) return this.#endTable(data, 0);
      this.#atBlockStart = false;
    }
    const end = data.indexOf(END_OF_COPY);
    if (end >= 0) {
      this.#takeRows(data.subarray(0, end + 1));
      return this.#endTable(data, end + 1);
    }
    const safe = data.length - heldBack(data);
    this.#takeRows(data.subarray(0, safe));
    this.#held = data.subarray(safe);
    return null;
  }

  #takeRows(rows: Buffer): void {
    if (!this.#table || rows.length === 0) return;
    this.#table.hash.update(rows);
    this.#table.rows += countLines(rows);
  }

  #endTable(data: Buffer, terminator: number): Buffer {
    this.#atBlockStart = false;
    if (this.#table) {
      const { name, copy, rows, hash } = this.#table;
      this.#tables.push({ name, copy, rows, sha256: hash.digest("hex") });
      this.#table = null;
    }
    return data.subarray(terminator + 3);
  }
}

/** Only lines that begin like this can mean something; all others are hashed unread. */
function isWorthReading(line: Buffer): boolean {
  const first = line[0];
  return first === BACKSLASH || (first === 0x2d && line[1] === 0x2d) || (first === 0x43 && line[1] === 0x4f);
}

/** How many bytes at the end could be the beginning of the line `\.`, and must wait for the next chunk. */
function heldBack(data: Buffer): number {
  for (let length = Math.min(3, data.length); length > 0; length--) {
    if (data.subarray(data.length - length).equals(END_OF_COPY.subarray(0, length))) return length;
  }
  return 0;
}

function countLines(rows: Buffer): number {
  let count = 0;
  for (let at = rows.indexOf(NEWLINE); at >= 0; at = rows.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

/** `public."odd (name)"` out of `COPY public."odd (name)" (id, email) FROM stdin;` */
function tableName(copy: string): string {
  return /^COPY ((?:"(?:[^"]|"")*"|[^\s."]+)(?:\.(?:"(?:[^"]|"")*"|[^\s."]+))?)/.exec(copy)?.[1] ?? copy;
}
