/** What the containers of a stack are for, in the order in which they start. */
export const ROLES = ["database", "object-store", "backup-agent", "backend"] as const;
export type Role = (typeof ROLES)[number];

const SERVICES: Readonly<Record<Role, string>> = {
  database: "db",
  "object-store": "object-store",
  "backup-agent": "backup",
  backend: "backend",
};

/** What an operator calls the container, as in `npx budgie logs db`. */
export function serviceName(role: Role): string {
  return SERVICES[role];
}

export function containerName(namePrefix: string, role: Role): string {
  return `${namePrefix}-${SERVICES[role]}`;
}

/** An image that the stack builds has a name for each content, so that the image of an older container keeps its own. */
export function builtImageName(namePrefix: string, role: Role, hash: string): string {
  return `${containerName(namePrefix, role)}:${hash.slice(0, 12)}`;
}

export function networkName(namePrefix: string): string {
  return `${namePrefix}-network`;
}

/** Where several backends reach the database. A swarm's services are in no network of one machine. */
export function backendsNetworkName(namePrefix: string): string {
  return `${namePrefix}-backends`;
}

/** DANGER: the data is in the volume of this name. Under another name the database begins empty. */
export function databaseVolumeName(namePrefix: string): string {
  return `${namePrefix}-postgres-data`;
}

/** Where a damaged one is kept, as it was. The date is UTC: `budgie-postgres-data-broken-20261122-140300`. */
export function brokenVolumeName(namePrefix: string, at: Date): string {
  return `${databaseVolumeName(namePrefix)}-broken-${compactDate(at)}`;
}

/** Where an upgrade keeps the data of the older version: `budgie-postgres-data-pg16-20261122-140300`. */
export function upgradedVolumeName(namePrefix: string, majorVersion: string, at: Date): string {
  return `${databaseVolumeName(namePrefix)}-pg${majorVersion}-${compactDate(at)}`;
}

function compactDate(at: Date): string {
  const [day, time] = at.toISOString().replace(/[-:]/g, "").split("T") as [string, string];
  return `${day}-${time.slice(0, 6)}`;
}

/** On another machine, so it may be called what nothing of the database's own machine is. */
export function replicaContainerName(namePrefix: string): string {
  return `${namePrefix}-replica`;
}

export function objectStoreVolumeName(namePrefix: string): string {
  return `${namePrefix}-object-store-data`;
}

/** Where the backups are when the engine is on another machine. */
export function backupsVolumeName(namePrefix: string): string {
  return `${namePrefix}-backups`;
}

/** Where the agent notes which backups there are. */
export function backupRecordsVolumeName(namePrefix: string): string {
  return `${namePrefix}-backup-records`;
}

/**
 * What the stack's database may be called. A safety copy's name is the database's plus `_before_YYYYMMDD_HHMMSS`; PostgreSQL cuts names
 * off at 63 bytes.
 */
export const DATABASE_NAME = /^(?!(postgres|template[01])$)[a-z_][a-z0-9_]{0,39}$/;

/** The role that owns the data. A volume of Budgie's old compose file has it too. */
export const DATABASE_USER = "budgie_user";

/** A command of the backup agent, as it is run in the agent's container. */
export function agentCommand(...args: readonly string[]): string[] {
  return ["budgie-agent", ...args];
}
