/** A database that does not start, as the end of its log tells it. */
export interface WhyItDoesNotStart {
  what: string;
  /** Whether its own files are damaged, so that starting it again never helps. */
  damaged: boolean;
}

/** PostgreSQL's words for files of its own that it cannot read or believe. */
const DAMAGED = [
  /incorrect checksum in control file/,
  /PG_CONTROL_VERSION|CATALOG_VERSION_NO|without USE_|byte ordering/,
  /invalid (?:primary )?checkpoint/,
  /could not locate a valid checkpoint record/,
  /could not (?:open|read|find) .*(?:global\/|pg_control|pg_filenode\.map|PG_VERSION|pg_wal|pg_xact)/,
  /contains an? (?:invalid|incorrect)/,
  /relation mapping file .* contains/,
  /invalid page in block/,
];

/**
 * Says what the lines mean that PostgreSQL ended with, where starting it again cannot help. Undefined for any other reason. The
 * advice of its own (`initdb`) would lead to an empty database.
 */
export function whyItDoesNotStart(log: string, volume: string): WhyItDoesNotStart | undefined {
  const other =
    /initialized by PostgreSQL version (\S+), which is not compatible with this version (\S+?)\.?$/m.exec(
      log,
    );
  if (other) {
    const what = `The volume ${volume} was made by PostgreSQL ${other[1]}, and this one is ${other[2]}. Nothing in it was changed.`;
    return { what, damaged: false };
  }
  if (!DAMAGED.some(sign => sign.test(log))) return undefined;
  const what = `PostgreSQL's own files in the volume ${volume} are damaged, so it cannot start from them, however often it tries.`;
  return { what, damaged: true };
}

/** Without the advice to begin with an empty database. */
export function withoutInitdbHint(log: string): string {
  return log
    .split("\n")
    .filter(line => !/HINT:.*initdb/.test(line))
    .join("\n");
}

/** How to go on from damaged files, which are kept. */
export function wayFromDamage(
  { engine, image, stack, container }: { engine: string; image: string; stack: string; container: string },
  volume: string,
): string {
  return [
    "npx budgie stop",
    `${engine} run --rm -v ${volume}:/from -v ${volume}-damaged:/to --entrypoint cp ${image} -a /from/. /to/     # keeps what is there`,
    `${engine} rm ${container}`,
    `${engine} volume rm ${volume}     # what was in it is in ${volume}-damaged`,
    `npm run pulumi -- state delete 'urn:pulumi:${stack}::budgie::pulumi:index:Stash::data'     # forgets the damaged volume`,
    "npm run pulumi -- up --refresh     # stops before the API writes, when there are backups",
    "npx budgie restore latest     # or: restore latest --from s3",
    "npm run pulumi -- up",
  ].join("\n");
}
