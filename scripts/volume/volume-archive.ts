import { Transform, type TransformCallback } from "node:stream";
import { Parser, type ReadEntry } from "tar";

/** The bytes with which compressed files begin, and what unpacks them. */
const COMPRESSED: [start: string, unpack: string][] = [
  ["1f8b", "gzip -dc"],
  ["28b52ffd", "zstd -dc"],
  ["425a68", "bzip2 -dc"],
  ["fd377a585a", "xz -dc"],
];
const NEEDED = ["PG_VERSION", "global/pg_control"];

/**
 * Passes a tar file on as it comes, and sees whether it holds a data directory of PostgreSQL and nothing that could reach out of the
 * folder it is unpacked to: files and folders alone, under names within it. A data directory needs no links. Ends with an error at the
 * first thing that is wrong, and where the end of the archive is missing. What it is passed to must not use it before that.
 */
export class VolumeArchive extends Transform {
  readonly #parser: Parser;
  readonly #lacking = new Set(NEEDED);
  #begun = false;
  #ended = false;
  #problem: string | null = null;
  #files = 0;

  constructor() {
    super();
    this.#parser = new Parser({
      strict: true,
      onReadEntry: entry => {
        this.#look(entry);
        entry.resume();
      },
    });
    this.#parser.on("eof", () => {
      this.#ended = true;
    });
    this.#parser.on("error", (error: Error) => {
      this.#problem ??= `it is no whole tar file (${error.message})`;
    });
  }

  /** How many files it holds. */
  get files(): number {
    return this.#files;
  }

  override _transform(bytes: Buffer, _encoding: string, done: TransformCallback): void {
    if (!this.#begun) {
      this.#begun = true;
      const start = bytes.subarray(0, 8).toString("hex");
      const unpack = COMPRESSED.find(([magic]) => start.startsWith(magic))?.[1];
      if (unpack) this.#problem = `it is compressed: ${unpack} FILE | npx budgie volume import -`;
    }
    if (this.#problem === null && !this.#ended) this.#parser.write(bytes);
    if (this.#problem === null) done(null, bytes);
    else done(new ArchiveProblem(this.#problem));
  }

  override _flush(done: TransformCallback): void {
    const judge = () => done(this.#wrong() === null ? null : new ArchiveProblem(this.#wrong() ?? ""));
    if (this.#problem !== null || !this.#begun) {
      judge();
      return;
    }
    let judged = false;
    for (const event of ["end", "error"] as const)
      this.#parser.once(event, () => {
        if (!judged) judge();
        judged = true;
      });
    this.#parser.end();
  }

  #wrong(): string | null {
    if (this.#problem !== null) return this.#problem;
    if (!this.#ended) return "it is cut off: the end of the archive is missing";
    const [lacking] = this.#lacking;
    return lacking ? `it has no ${lacking} at its top, so it is no data directory of PostgreSQL` : null;
  }

  #look({ path, type }: ReadEntry): void {
    if (type !== "Directory") this.#files += 1;
    const parts = path.split("/").filter(part => part !== "" && part !== ".");
    if (type !== "File" && type !== "OldFile" && type !== "Directory")
      this.#problem ??= `${path} in it is neither a file nor a folder (${type}); a tablespace or a moved pg_wal lies outside the volume`;
    else if (path.startsWith("/") || parts.includes(".."))
      this.#problem ??= `${path} in it leads out of the folder that it is unpacked to`;
    this.#lacking.delete(parts.join("/"));
  }
}

/** What is wrong with a tar file, as the end of a sentence. */
export class ArchiveProblem extends Error {}
