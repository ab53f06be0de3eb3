import type { Stop } from "../../shared/exit-codes.ts";
import { shellWord } from "../../shared/shell-word.ts";
import { refuse } from "../base/refuse.ts";
import type { Progress } from "../base/reporter.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { type DumpFingerprint, DumpFingerprinter, type PsqlCommand } from "./fingerprint.ts";
import { type DumpKind, isArchiveKind, kindOfFile } from "./kind.ts";
import { type DumpBytes, readSql } from "./sql.ts";

/** A dump that was read from its first byte to its last. */
export interface ReadDump {
  kind: DumpKind;
  /** Of the bytes that were read, compressed as they are. */
  bytes: number;
  sha256: string;
  /**
   * Names the content, however it is compressed: the sha256 of the SQL. For an archive it is the archive's own sha256, because
   * the SQL that pg_restore makes of it has another random \restrict token each time.
   */
  contentSha256: string;
  fingerprint: DumpFingerprint;
  /** Whether the SQL had the line ends of Windows. */
  converted: boolean;
}

/** Reads a whole dump of any kind and keeps only what there is to know about it. Throws a Stop for what cannot be read as one. */
export async function inspectDump(path: string, shown: string, progress: Progress): Promise<ReadDump> {
  return inspectBytes({ source: path, kind: await kindOfFile(path, shown), shown }, progress);
}

/** The same for a dump that comes from elsewhere. What its source fails with is passed on. */
export async function inspectBytes(dump: DumpBytes, progress: Progress): Promise<ReadDump> {
  const { kind } = dump;
  const fingerprinter = new DumpFingerprinter();
  const hashed = kind !== "plain";
  const {
    bytes,
    sha256: ofFile,
    converted,
  } = await readSql(dump, part => fingerprinter.update(part), {
    progress,
    hashed,
  });
  const fingerprint = fingerprinter.finish();
  const sha256 = ofFile ?? fingerprint.sha256;
  const contentSha256 = isArchiveKind(kind) ? sha256 : fingerprint.sha256;
  return { kind, bytes, sha256, contentSha256, fingerprint, converted };
}

/** Throws a Stop unless the dump is whole, and is the one that its manifest (if it has one) describes. */
export function requireWhole(dump: ReadDump, shown: string, manifest: Manifest | null): void {
  const { fingerprint, contentSha256 } = dump;
  if (fingerprint.wholeServer) throw refuseWholeServer(shown);
  if (!fingerprint.hasHeader) throw refuse(`${shown} is not a pg_dump file`);
  if (!fingerprint.complete) throw refuse(`${shown} is cut off: pg_dump's completion line is missing`);
  if (manifest !== null && contentSha256 !== manifest.contentSha256) {
    throw refuse(
      `${shown} is corrupt: its bytes are not those that its manifest recorded (sha256 ${manifest.contentSha256.slice(0, 12)}…)`,
    );
  }
  if (fingerprint.command !== null) throw refuseCommand(shown, fingerprint.command);
}

const WITHOUT_CREATE = `sed -E '/^(CREATE|ALTER|COMMENT ON) DATABASE /d; /^\\\\connect /d'`;

function refuseWholeServer(shown: string): Stop {
  const part = `sed -n '/^-- Database "NAME" dump$/,/^-- PostgreSQL database dump complete$/p' ${shellWord(shown)}`;
  return refuse(
    `${shown} is of a whole server, made with pg_dumpall`,
    `Take the one database out of it, with its name for NAME: ${part} | ${WITHOUT_CREATE} | npx budgie restore -`,
  );
}

function refuseCommand(shown: string, { text, line }: PsqlCommand): Stop {
  if (/^\\c(onnect)?\b/.test(text))
    return refuse(
      `${shown} would leave the database it is loaded into (line ${line}: ${text.slice(0, 60)}), as what pg_dump --create makes does`,
      `If that is how it was made, take these lines out: ${WITHOUT_CREATE} ${shellWord(shown)} | npx budgie restore -`,
    );
  return refuse(
    `${shown} holds a command for psql (line ${line}: ${text.slice(0, 60)}), which a dump has no need of`,
    "Look at what the file does. A dump that pg_dump made holds no such command.",
  );
}
