import { createHash, type Hash } from "node:crypto";
import { refuse } from "../base/refuse.ts";
import { anyText, bytesOfAnyText } from "./any-text.ts";
import type { Piece } from "./reader.ts";

/** One object of a dump, as pg_dump's own comment announces it. */
export interface DumpEntry {
  /** `TABLE`, `CONSTRAINT`, `FUNCTION`, `COMMENT`, `ACL` … */
  type: string;
  schema: string;
  name: string;
  /** Its statements as they stand in the dump, with the settings that go before them. */
  sql: string;
  /** For comparing: the same without what depends on the objects around it, and with what the comment says. */
  text: string;
}

/** Where a sequence stands. */
export interface SequencePosition {
  /** As the dump names it: `public.users_id_seq`, in the dump's encoding (any-text.ts). */
  name: string;
  value: string;
  called: boolean;
}

/** All that a dump holds beside its tables' rows. */
export interface DumpSchema {
  /** The settings at its head. */
  preamble: string;
  /** What the settings at its head say of its bytes. */
  encoding: string;
  /** In the dump's order. */
  entries: DumpEntry[];
  sequences: SequencePosition[];
  /** sha256 of the large objects' contents; null where there are none. */
  largeObjectsSha256: string | null;
}

/** Entries that hold data, or act on it. Their text is not what is compared. */
const DATA = new Set(["TABLE DATA", "SEQUENCE SET", "BLOBS", "MATERIALIZED VIEW DATA", "STATISTICS DATA"]);
/** A name may hold what ends a line in Unicode, though not in a file. */
const HEADER = /^-- (?:Data for )?Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: (.*)$/s;
const ENCODING = /^SET client_encoding = '([^']+)';$/m;
/** Such a setting stands before the first object that needs another value, and holds for those that follow. */
const STANDING_SETTING = /^SET default_(?:tablespace|table_access_method) = .*;$/;
const SETVAL = /^SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d+), (true|false)\);$/;
/** As pg_dump wrote it before 10.3: the comment above it names the schema. */
const WITHOUT_SCHEMA = /^(?:"(?:[^"]|"")+"|[^".]+)$/;

/** As much of one object's statement as is kept. Nobody writes a longer one, and a file may hold what takes all memory. */
const LONGEST_KEPT = 128 << 20;

interface OpenEntry {
  type: string;
  schema: string;
  name: string;
  owner: string;
  accessMethod: string;
  statements: string[];
  settings: string[];
}

/** Collects a dump's schema as its pieces stream past. Holds the schema's text in memory, and none of the data. */
export class SchemaCollector {
  readonly #preamble: string[] = [];
  readonly #entries: DumpEntry[] = [];
  readonly #sequences: SequencePosition[] = [];
  #largeObjects: Hash | null = null;
  #open: OpenEntry | null = null;
  #accessMethod = "heap";
  /** They come before the comment of the object that needs them. */
  #nextSettings: string[] = [];
  #long: Buffer[] = [];
  #longBytes = 0;

  take(piece: Piece): void {
    if (piece.kind === "comment") {
      const header = HEADER.exec(anyText(piece.bytes).trimEnd());
      if (header) this.#begin(header as unknown as string[]);
    } else if (piece.kind === "long") {
      if (!this.#isData()) this.#keep(piece.bytes);
      else if (this.#open?.type === "BLOBS") this.#takeLargeObjects(piece.bytes);
    } else if (piece.kind === "statement") {
      this.#statement(piece.bytes);
    }
  }

  finish(): DumpSchema {
    this.#close();
    const preamble = this.#preamble.join("\n");
    return {
      preamble,
      encoding: ENCODING.exec(preamble)?.[1] ?? "UTF8",
      entries: this.#entries,
      sequences: this.#sequences,
      largeObjectsSha256: this.#largeObjects?.digest("hex") ?? null,
    };
  }

  #keep(part: Buffer): void {
    this.#longBytes += part.length;
    if (this.#longBytes > LONGEST_KEPT)
      throw refuse(
        `the file holds a statement of more than ${LONGEST_KEPT >> 20} MB that is no table's row`,
        "Look at what the file does. A dump that pg_dump made holds no such statement.",
      );
    this.#long.push(Buffer.from(part));
  }

  #isData(): boolean {
    return this.#open !== null && DATA.has(this.#open.type);
  }

  #begin([, name = "", type = "", schema = "", owner = ""]: string[]): void {
    this.#close();
    const [accessMethod, settings] = [this.#accessMethod, this.#nextSettings];
    this.#open = { type, schema, name, owner, accessMethod, statements: [], settings };
    this.#nextSettings = [];
  }

  #close(): void {
    const open = this.#open;
    this.#open = null;
    if (open === null) return;
    if (this.#long.length > 0) open.statements.push(anyText(Buffer.concat(this.#long)));
    this.#long = [];
    this.#longBytes = 0;
    if (DATA.has(open.type)) return;
    const { type, schema, name, owner, accessMethod, statements, settings } = open;
    const isStored = type === "TABLE" || type === "MATERIALIZED VIEW";
    const method = isStored ? [`-- Access method: ${accessMethod}`] : [];
    this.#entries.push({
      type,
      schema,
      name,
      sql: [...settings, ...statements].join("\n"),
      text: [`-- Owner: ${owner}`, ...method, ...statements].join("\n"),
    });
  }

  #statement(bytes: Buffer): void {
    const open = this.#open;
    if (open?.type === "BLOBS") this.#takeLargeObjects(bytes);
    if (open?.type === "SEQUENCE SET") this.#takePosition(open.schema, anyText(bytes));
    if (this.#isData()) return;
    const statement = anyText(this.#long.length === 0 ? bytes : Buffer.concat([...this.#long, bytes]));
    this.#long = [];
    this.#longBytes = 0;
    if (STANDING_SETTING.test(statement)) {
      this.#accessMethod =
        /^SET default_table_access_method = (.*);$/.exec(statement)?.[1] ?? this.#accessMethod;
      this.#nextSettings.push(statement);
    } else if (open === null) {
      this.#preamble.push(statement);
    } else {
      open.statements.push(statement);
    }
  }

  #takeLargeObjects(bytes: Buffer): void {
    this.#largeObjects ??= createHash("sha256");
    this.#largeObjects.update(bytes);
    this.#largeObjects.update("\n");
  }

  #takePosition(schema: string, statement: string): void {
    const [, written, value, called] = SETVAL.exec(statement) ?? [];
    if (written === undefined || value === undefined) return;
    const name = written.replaceAll("''", "'");
    const whole = WITHOUT_SCHEMA.test(name) ? `${quoted(schema)}.${name}` : name;
    this.#sequences.push({ name: whole, value, called: called === "true" });
  }
}

function quoted(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** The dump's schema alone, to be loaded by itself. */
export function schemaSql({ preamble, entries }: DumpSchema): Buffer {
  return bytesOfAnyText([preamble, ...entries.map(({ sql }) => sql), ""].join("\n"));
}
