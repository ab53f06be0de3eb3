import { refuse } from "../base/refuse.ts";
import { SqlScanner, type UnitKind } from "./sql-scanner.ts";

/** What a plain dump consists of, in the order in which it comes. */
export type Piece =
  /** One unit of SQL, whole, and the number of its first line. `psqlWaits`: psql would not see that it is whole. */
  | { kind: Exclude<UnitKind, "command">; bytes: Buffer; line: number; psqlWaits?: boolean }
  /** A command for psql, with the statement that it interrupts, if there is one. */
  | { kind: "command"; bytes: Buffer; line: number; text: string }
  /** Part of a statement that is too long to be kept: a value, and nothing that must be understood. */
  | { kind: "long"; bytes: Buffer }
  /** A COPY statement, in `bytes` with its line end; its rows follow, then an `end`. */
  | { kind: "copy"; statement: Buffer; bytes: Buffer }
  /** Whole rows and parts of rows. */
  | { kind: "rows"; bytes: Buffer }
  /** The line `\.` */
  | { kind: "end"; bytes: Buffer };

const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
const END_OF_COPY = Buffer.from("\n\\.\n");
const NOTHING = Buffer.alloc(0);
/** A COPY line names at most 1,600 columns of 63 bytes; anything longer is a value, not a statement to understand. */
const LONGEST_STATEMENT = 1 << 20;
const COPY_FROM_STDIN = /^(?:\/\*[\s\S]*?\*\/\s*)*copy\b[\s\S]*\bfrom\s+stdin\b/i;
/** As pg_dump writes it: `COPY public.users (id, name) FROM stdin;` Names may hold anything, line ends too. */
const PG_DUMPS_COPY = /^COPY [\s\S]+ FROM stdin;$/;

/**
 * Takes a plain dump apart as it streams past, in chunks of any size, with memory that does not grow with the dump. Table data
 * follows a COPY statement; a COPY that a function's body or a comment quotes is text.
 *
 * Throws a Stop for a dump whose table data begins in another way than pg_dump's: nobody could know where it ends.
 */
export class DumpReader {
  readonly #scanner = new SqlScanner();
  readonly #take: (piece: Piece) => void;
  #held: Buffer = NOTHING;
  /** How much of `#held` the scanner has understood. */
  #scanned = 0;
  /** The length of a COPY statement whose line end has not come yet. */
  #copy: number | null = null;
  #inRows = false;
  #atBlockStart = false;
  #inLongStatement = false;
  #line = 1;

  constructor(take: (piece: Piece) => void) {
    this.#take = take;
  }

  /** The pieces are parts of the chunk: whoever keeps one for longer must copy it. */
  read(chunk: Buffer): void {
    this.#readAll(chunk, false);
    // The caller may use its buffer again.
    if (this.#held.length > 0) this.#held = Buffer.from(this.#held);
  }

  /** Call it at the end. Returns whether the dump ends behind a statement, and not in the midst of a row or a statement. */
  end(): boolean {
    this.#readAll(NOTHING, true);
    const open = this.#inRows || this.#inLongStatement || this.#scanner.inside;
    if (this.#held.length > 0) this.#give({ kind: "statement", bytes: this.#held, line: this.#line });
    this.#held = NOTHING;
    return !open;
  }

  #readAll(chunk: Buffer, last: boolean): void {
    let data = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    while (data.length > 0) {
      const rest = this.#inRows ? this.#readRows(data) : this.#readUnit(data, last);
      if (rest === null) break;
      data = rest;
    }
  }

  /** Gives out one unit and returns what follows it; null when the data ends first. */
  #readUnit(data: Buffer, last: boolean): Buffer | null {
    if (this.#copy !== null) return this.#beginRows(this.#copy, data, last);
    const { kind, end, command, psqlWaits = false } = this.#scanner.scan(data, this.#scanned, last);
    if (kind === null) {
      this.#holdUnit(data, end);
      return null;
    }
    this.#scanned = 0;
    const bytes = data.subarray(0, end);
    if (kind === "command") {
      const text = data.toString("utf8", command, end).trimEnd();
      this.#give({ kind, bytes, line: this.#line + countLines(data.subarray(0, command)), text });
    } else if (this.#inLongStatement) {
      if (psqlWaits)
        throw refuse(`the statement before line ${this.#line} is too long for psql to see its end`);
      this.#give({ kind: "long", bytes });
    } else {
      if (kind === "statement") {
        if (readsTableData(bytes)) return this.#beginRows(end, data, last);
        this.#heed(bytes);
      }
      this.#give({ kind, bytes, line: this.#line, ...(psqlWaits ? { psqlWaits } : {}) });
    }
    this.#inLongStatement = false;
    return data.subarray(end);
  }

  /** Keeps a unit that is not whole yet; gives out what is understood of one that is too long to be kept. */
  #holdUnit(data: Buffer, understood: number): void {
    this.#inLongStatement ||= data.length > LONGEST_STATEMENT;
    if (this.#inLongStatement) {
      if (understood > 0) this.#give({ kind: "long", bytes: data.subarray(0, understood) });
      this.#held = data.subarray(understood);
      this.#scanned = 0;
    } else {
      this.#held = data;
      this.#scanned = understood;
    }
  }

  /** `data` begins with the statement, which is `end` bytes long. psql reads the rows from the next line on. */
  #beginRows(end: number, data: Buffer, last: boolean): Buffer | null {
    if (data.length === end && !last) {
      this.#copy = end;
      this.#held = data;
      return null;
    }
    this.#copy = null;
    const statement = data.subarray(0, end);
    if (!PG_DUMPS_COPY.test(statement.toString("latin1")) || (data.length > end && data[end] !== NEWLINE)) {
      throw refuse(
        `line ${this.#line} begins table data in another way than pg_dump does (${statement.toString("utf8", 0, 60)})`,
        "Make the file anew with pg_dump, and without options that change how table data is written.",
      );
    }
    this.#inRows = true;
    this.#atBlockStart = true;
    const behind = Math.min(end + 1, data.length);
    this.#give({ kind: "copy", statement, bytes: data.subarray(0, behind) });
    return data.subarray(behind);
  }

  /** A dump of a server that had the setting off says so at its head, and writes its strings accordingly. */
  #heed(statement: Buffer): void {
    if (statement.length > 60 || statement[0] !== 0x53) return;
    const setting = /^SET standard_conforming_strings = (on|off);$/.exec(statement.toString("latin1"))?.[1];
    if (setting) this.#scanner.standardStrings = setting === "on";
  }

  /** Gives out rows up to and including the line `\.`; null when the data ends first. */
  #readRows(data: Buffer): Buffer | null {
    if (this.#atBlockStart) {
      if (data.length < 3 && END_OF_COPY.subarray(1).indexOf(data) === 0) {
        this.#held = data;
        return null;
      }
      this.#atBlockStart = false;
      if (data[0] === BACKSLASH && data[1] === 0x2e && data[2] === NEWLINE) return this.#endRows(data, 0);
    }
    const end = data.indexOf(END_OF_COPY);
    if (end >= 0) {
      this.#giveRows(data.subarray(0, end + 1));
      return this.#endRows(data, end + 1);
    }
    const safe = data.length - heldBack(data);
    this.#giveRows(data.subarray(0, safe));
    this.#held = data.subarray(safe);
    return null;
  }

  #endRows(data: Buffer, at: number): Buffer {
    this.#inRows = false;
    this.#give({ kind: "end", bytes: data.subarray(at, at + 3) });
    return data.subarray(at + 3);
  }

  #giveRows(bytes: Buffer): void {
    if (bytes.length > 0) this.#take({ kind: "rows", bytes });
  }

  #give(piece: Piece): void {
    this.#take(piece);
    if (piece.kind !== "rows") this.#line += countLines(piece.bytes);
  }
}

function readsTableData(statement: Buffer): boolean {
  const first = statement[0];
  if (first !== 0x43 && first !== 0x63 && first !== 0x2f) return false;
  const text = statement.toString("latin1");
  return COPY_FROM_STDIN.test(text) || PG_DUMPS_COPY.test(text);
}

/** How many bytes at the end could be the beginning of the line `\.`, and must wait for the next chunk. */
function heldBack(data: Buffer): number {
  for (let length = Math.min(3, data.length); length > 0; length--) {
    if (data.subarray(data.length - length).equals(END_OF_COPY.subarray(0, length))) return length;
  }
  return 0;
}

export function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
