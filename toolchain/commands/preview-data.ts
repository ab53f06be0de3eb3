import type { Change } from "./preview-json.ts";

const DATABASE = "budgie:stack:Database";
const GATES = "budgie:stack:BackupGates";
const CONTAINER = "docker:index/container:Container";

interface StoreKind {
  word: string;
  /** The input that names it on the engine, or at the store. */
  property: "name" | "bucket";
}

/** What holds data. */
const STORES: Record<string, StoreKind> = {
  "docker:index/volume:Volume": { word: "volume", property: "name" },
  "aws:s3/bucket:Bucket": { word: "bucket", property: "bucket" },
};

/** What a preview means for the data, in sentences of Markdown. */
export interface DataOutlook {
  /** What deletes data, now or with the next `pulumi destroy`. */
  losses: string[];
  /** Where data would seem to be gone, and is not. */
  alarms: string[];
  /** The database's container, the backup before it is touched, and every volume and bucket. */
  facts: string[];
}

export function dataOutlook(changes: readonly Change[]): DataOutlook {
  const container = changes.find(change => isOf(change, DATABASE, CONTAINER));
  const stores = changes.flatMap(change => {
    const kind = STORES[change.types.at(-1) ?? ""];
    return kind ? [storeOutlook(change, kind)] : [];
  });
  return {
    losses: stores.flatMap(({ losses }) => losses),
    alarms: stores.flatMap(({ alarms }) => alarms),
    facts: [
      `The database's container ${containerFate(container)}.`,
      backup(container, changes),
      ...stores.flatMap(({ facts }) => facts),
    ],
  };
}

function isOf({ types }: Change, component: string, type: string): boolean {
  return types.includes(component) && types.at(-1) === type;
}

function containerFate(container: Change | undefined): string {
  switch (container?.fate) {
    case "stays":
    case "read":
      return "is not touched";
    case "created":
    case "imported":
      return "is new";
    case "updated":
      return "is changed while it runs";
    case "replaced":
      return "**is replaced**: the API is without its database for some seconds";
    case "removed":
      return "**is removed**";
    case undefined:
      return "is not part of the stack";
  }
}

/** The gate takes its backup when it is deleted, and it is deleted before the database's container is. */
function backup(container: Change | undefined, changes: readonly Change[]): string {
  const touched = container?.fate === "replaced" || container?.fate === "removed";
  const gate = changes.find(({ types }) => types.includes(GATES) && types.at(-1) !== GATES);
  const fires = gate?.fate === "replaced" || gate?.fate === "removed";
  if (fires) return "**A backup is taken first**; when it fails, nothing is touched.";
  if (!touched) return "No backup is needed.";
  return "**No backup is taken first**: the stack has no gate for it yet. Take one yourself: `npx budgie backup`";
}

function storeOutlook({ fate, name, before, after }: Change, kind: StoreKind): DataOutlook {
  const old = `the ${kind.word} ${shownName(before?.inputs?.[kind.property], name)}`;
  const next = `the ${kind.word} ${shownName(after?.inputs?.[kind.property], name)}`;
  const outlook: DataOutlook = { losses: [], alarms: [], facts: [] };
  const leaves = fate === "replaced" || fate === "removed";
  const kept = before?.retainOnDelete === true;
  if (leaves && !kept) outlook.losses.push(`**${capital(old)} is deleted with all that is in it.**`);
  if (fate === "removed" && kept) {
    outlook.facts.push(`${capital(old)} leaves the stack, and is kept with all that is in it.`);
  }
  if (fate === "replaced") {
    outlook.alarms.push(
      `**${capital(next)} takes the place of ${old}, and is empty** unless there is one of that name already: the data seems to ` +
        `be gone.${kept ? ` It is still in ${old}; with the old name in the settings it is back.` : ""}`,
    );
  }
  if (fate === "created") {
    outlook.facts.push(
      `${capital(next)} is new, or, if there is one of that name, taken over with what is in it.`,
    );
  } else if (!leaves) outlook.facts.push(`${capital(next)} stays.`);
  if (fate !== "removed" && after?.retainOnDelete !== true) {
    outlook.losses.push(
      `**${capital(next)} is not kept: \`pulumi destroy\` deletes all that is in it.** Its options need \`retainOnDelete: true\`.`,
    );
  }
  return outlook;
}

/** The first that is known and is a plain name: others are secret, or made to be more than a name. */
function shownName(...candidates: unknown[]): string {
  const plain = candidates.find(name => typeof name === "string" && /^[\w.-]{1,255}$/.test(name));
  return plain === undefined ? "without a plain name" : `\`${plain}\``;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
