import { DATA_FOLDER } from "../../shared/database-image.ts";
import { databaseVolumeName } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { askVolumes } from "./volume-work.ts";

/** Where an import unpacks, within the volume. It is there only until the import is done. */
export const IMPORT_FOLDER = ".budgie-import";

/** What PostgreSQL says of a database in `global/pg_control`. */
export interface Control {
  /** PostgreSQL's own identity of the cluster, which the backups' manifests name too. */
  systemIdentifier: string;
  /** `shut down`, or that it was not: then it recovers at its next start. */
  state: string;
  checksums: boolean;
  /** When the server last wrote there. After a clean end that is when it ended. */
  writtenAt: Date | null;
}

export interface VolumeFacts {
  /** How many files and folders are at its top, apart from an import's folder. */
  entries: number;
  /** A killed import left its folder. */
  hasImportFolder: boolean;
  kilobytes: number;
  /** As `du -h` shows it. */
  size: string;
  /** Of the database in it; null where there is none. */
  majorVersion: string | null;
  /** Of the image that looked. */
  imageVersion: string;
  /** Null where there is none, it is damaged, or the image is of another version and cannot read it. */
  control: Control | null;
}

const SCRIPT = `
cd '${DATA_FOLDER}' && cd "$FOLDER" || exit
export LC_ALL=C TZ=UTC
echo "entries: $(ls -A | grep -cvxF '${IMPORT_FOLDER}')"
if [ -e '${IMPORT_FOLDER}' ]; then echo "import: yes"; fi
echo "kilobytes: $(du -sk . | cut -f1)"
echo "size: $(du -sh . | cut -f1)"
if [ -e PG_VERSION ]; then echo "major: $(head -c 20 PG_VERSION)"; fi
echo "image: $(postgres -V)"
if [ -e global/pg_control ]; then pg_controldata -D . 2>&1; fi
exit 0`;

/**
 * Looks into the volume of a stack's database, or into the folder that an import unpacks to; or into another volume. Throws when that
 * cannot be done.
 */
export async function volumeFacts(
  stack: Stack,
  { folder = ".", volume = databaseVolumeName(stack.prefix) } = {},
): Promise<VolumeFacts> {
  const volumes = [{ volume, path: DATA_FOLDER }];
  return parseFacts(await askVolumes(stack, { volumes, script: SCRIPT, environment: { FOLDER: folder } }));
}

export function parseFacts(text: string): VolumeFacts {
  const of = (name: string) =>
    text
      .split("\n")
      .find(line => line.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim();
  const majorVersion = of("major") ?? null;
  const imageVersion = /(\d+)[.\s]/.exec(`${of("image")} `)?.[1] ?? "unknown";
  return {
    entries: Number(of("entries") ?? Number.NaN),
    hasImportFolder: of("import") === "yes",
    kilobytes: Number(of("kilobytes") ?? Number.NaN),
    size: of("size") ?? "unknown",
    majorVersion,
    imageVersion,
    control: majorVersion === imageVersion && !text.includes("WARNING") ? controlOf(of) : null,
  };
}

function controlOf(of: (name: string) => string | undefined): Control | null {
  const systemIdentifier = of("Database system identifier");
  const state = of("Database cluster state");
  const checksums = of("Data page checksum version");
  if (!systemIdentifier || !state || !checksums) return null;
  const writtenAt = new Date(`${of("pg_control last modified")} UTC`);
  return {
    systemIdentifier,
    state,
    checksums: checksums !== "0",
    writtenAt: Number.isNaN(writtenAt.getTime()) ? null : writtenAt,
  };
}

/** `PostgreSQL 16, 47M, system identifier 738…, checksums off, shut down`. */
export function shownFacts({ majorVersion, size, control }: VolumeFacts): string {
  if (majorVersion === null) return `no database, ${size}`;
  const said = control
    ? [
        `system identifier ${control.systemIdentifier}`,
        `checksums ${control.checksums ? "on" : "off"}`,
        control.state,
      ]
    : ["its pg_control cannot be read"];
  return [`PostgreSQL ${majorVersion}`, size, ...said].join(", ");
}
