import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { Settings } from "../../settings.ts";
import { containerName, DATABASE_USER, databaseVolumeName } from "../../shared/names.ts";
import { underneath, type Within } from "../containers/within.ts";
import { managedNames } from "../managed/parts.ts";
import type { StackState } from "./stack-state.ts";

/** What the stack's data is tied to. */
const knownData = z.object({
  /** Its name; of a database that Amazon runs, `rds:` or `aurora:` and Amazon's name for it. No volume's name has a colon. */
  volume: z.string(),
  namePrefix: z.string(),
  databaseName: z.string(),
  /** Of PostgreSQL; no server opens another one's volume. */
  majorVersion: z.string(),
  /** What the stack was called then: `pulumi stack rename` changes neither its backups nor its containers. */
  stack: z.string().optional(),
});

export type KnownData = z.infer<typeof knownData>;

const NAME = "data";

/** As the state remembers it. */
export interface RememberedData {
  data: KnownData;
  /** Of the resource that remembers; what the way out names. */
  urn: string;
}

/** As the settings and this program would have it. */
export function wantedData({
  stack,
  namePrefix,
  databaseName,
  postgresVersion,
  managed,
}: Settings): KnownData {
  const volume = managed
    ? `${managed.kind}:${managedNames({ namePrefix }, postgresVersion).data}`
    : databaseVolumeName(namePrefix);
  return { volume, namePrefix, databaseName, majorVersion: postgresVersion, stack };
}

/** Undefined until the database has answered once. Throws for a memory that cannot be read: unknown is failure. */
export function rememberedData(state: StackState): RememberedData | undefined {
  const memory = state.resource("pulumi:index:Stash", NAME);
  if (!memory) return undefined;
  const parsed = knownData.safeParse(memory.outputs.input);
  if (parsed.success) return { data: parsed.data, urn: memory.urn };
  throw new Error(
    [
      "What the state remembers of the stack's data cannot be read. Nothing was changed.",
      "When `npx budgie psql` shows that the data is there, have it remembered anew:",
      `  npm run pulumi -- state delete '${memory.urn}'`,
    ].join("\n"),
  );
}

/**
 * Has the state remember it once the database has answered. A first `up` that was refused or cut off before that commits
 * the stack to nothing. A refresh never forgets it; `destroy` does, which is how data moves.
 */
export function remember(data: KnownData, ready: pulumi.Resource, within: Within): void {
  new pulumi.Stash(within.name(NAME), { input: data }, { dependsOn: ready, ...underneath(within) });
}

/**
 * Says so when the settings or the program lead away from the data that the state remembers: each of these looks afterwards
 * as if everything were lost. Nothing when they do not.
 */
export function otherDataProblem(
  { data: known, urn }: RememberedData,
  wanted: KnownData,
  stack: string,
): string | undefined {
  const changes = changesOf(known, wanted);
  if (changes.length === 0) return undefined;
  if (isOnlyVersion(known, wanted)) return otherVersion({ data: known, urn }, wanted, stack);
  return [
    `The data of stack ${stack} would be left behind. Nothing was changed.`,
    ...changes.map(({ what }) => `  ${what}`),
    "Back to the data:",
    ...changes.map(({ back }) => `  ${back}`),
    ...moving(known, wanted),
    ...(known.volume === wanted.volume
      ? []
      : [
          "To leave the data where it is and begin without:",
          `  npm run pulumi -- state delete '${urn}'     # DANGER: the next up makes an empty database`,
        ]),
  ].join("\n");
}

export function isOnlyVersion(known: KnownData, wanted: KnownData): boolean {
  return known.volume === wanted.volume && known.databaseName === wanted.databaseName;
}

function otherVersion({ data: known, urn }: RememberedData, wanted: KnownData, stack: string): string {
  const older = Number(wanted.majorVersion) < Number(known.majorVersion);
  return [
    `The data of stack ${stack} would be left behind. Nothing was changed.`,
    ...changesOf(known, wanted).flatMap(({ what, back }) => [`  ${what}`, "Back to the data:", `  ${back}`]),
    ...(isManaged(known)
      ? [
          "Amazon upgrades a database that it runs: docs/managed-database.md says in which order. Once it has, have the state forget the older version:",
          `  npm run pulumi -- state delete '${urn}'`,
        ]
      : older
        ? [
            `To go back to the data that PostgreSQL ${wanted.majorVersion} had before an upgrade; what there is now stays whole beside it:`,
            "  npx budgie upgrade --undo",
          ]
        : [
            "To move the data into the newer version, through a backup that is taken now; the old data stays whole beside it:",
            "  npx budgie upgrade",
          ]),
  ].join("\n");
}

function changesOf(known: KnownData, wanted: KnownData): { what: string; back: string }[] {
  const changes = [];
  if (runBy(known) !== runBy(wanted)) {
    changes.push({
      what: `It is in ${shownPlace(known)}; budgie:database ${runBy(wanted)} means another server, with ${shownPlace(wanted)}.`,
      back: `npm run pulumi -- config set budgie:database ${runBy(known)}`,
    });
  } else if (known.volume !== wanted.volume) {
    changes.push({
      what: `It is in ${shownPlace(known)}; budgie:namePrefix ${wanted.namePrefix} means another one, ${nameOf(wanted)}.`,
      back: `npm run pulumi -- config set budgie:namePrefix ${known.namePrefix}`,
    });
  }
  if (known.databaseName !== wanted.databaseName) {
    changes.push({
      what: `It is in the database ${known.databaseName}; budgie:databaseName means another one, ${wanted.databaseName}.`,
      back: `npm run pulumi -- config set budgie:databaseName ${known.databaseName}`,
    });
  }
  if (known.majorVersion !== wanted.majorVersion) {
    changes.push({
      what: `It was written by PostgreSQL ${known.majorVersion}; PostgreSQL ${wanted.majorVersion}, which budgie:postgresVersion names, cannot open it.`,
      back: `npm run pulumi -- config set budgie:postgresVersion ${known.majorVersion}`,
    });
  }
  return changes;
}

function isManaged({ volume }: KnownData): boolean {
  return volume.includes(":");
}

/** As budgie:database says it. */
function runBy({ volume }: KnownData): string {
  return volume.includes(":") ? (volume.split(":")[0] as string) : "container";
}

function nameOf({ volume }: KnownData): string {
  return volume.split(":").at(-1) as string;
}

function shownPlace(data: KnownData): string {
  return isManaged(data) ? `Amazon's database ${nameOf(data)}` : `the volume ${data.volume}`;
}

/**
 * Through a backup, into a volume of its own: the old one stays as it is. `destroy` takes the backup, with the agent of the
 * last `up`. The first `up` after it is refused by the database's identity, before the API writes.
 */
function moving(known: KnownData, wanted: KnownData): string[] {
  const prefix = known.volume === wanted.volume ? nextPrefix(wanted.namePrefix) : wanted.namePrefix;
  if ((isManaged(known) || isManaged(wanted)) && known.majorVersion !== wanted.majorVersion)
    return [
      "To move the data, go back to its version of PostgreSQL first: a backup is compared in the version that it came from.",
    ];
  const load =
    known.majorVersion === wanted.majorVersion
      ? ["  npx budgie restore latest"]
      : [
          `  docker exec -i ${containerName(prefix, "database")} psql -X -q -v ON_ERROR_STOP=1 -U ${DATABASE_USER} ${wanted.databaseName} < BACKUP.sql     # the newest one in the backup directory`,
          "  npx budgie accept-database",
        ];
  return [
    isManaged(known) || isManaged(wanted)
      ? "To move the data, through a backup that is taken now (the old database stays as it is; docs/managed-database.md has the way that stands still for seconds):"
      : "To move the data, through a backup that is taken now, into a volume of its own (the old volume stays as it is):",
    "  npm run pulumi -- destroy",
    ...(prefix === wanted.namePrefix ? [] : [`  npm run pulumi -- config set budgie:namePrefix ${prefix}`]),
    "  npm run pulumi -- up     # stops before the API writes: the new database is not the one that the backup came from",
    ...load,
    "  npm run pulumi -- up",
  ];
}

/** One that fits the rules of a prefix: at most 30 characters, a number last. */
function nextPrefix(prefix: string): string {
  const [, stem = prefix, number = "1"] = /^(.*)-(\d{1,3})$/.exec(prefix) ?? [];
  const ending = `-${Number(number) + 1}`;
  return `${stem.slice(0, 30 - ending.length).replace(/-$/, "")}${ending}`;
}
