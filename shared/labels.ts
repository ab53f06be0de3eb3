/** Everything of a stack is found by these labels. With another name, what older stacks have made would not be found. */
export const LABEL = {
  /** The stack, as Pulumi names it. */
  stack: "budgie.stack",
  prefix: "budgie.prefix",
  /** One of `ROLES`. */
  role: "budgie.role",
  /** Of the API: where it answers. */
  url: "budgie.url",
  /** Of several backends: how many there are to be. */
  backends: "budgie.backends",
  /** Of the backup agent: the backup directory on the engine's machine, and as the operator wrote it. */
  backupDir: "budgie.backup-dir",
  backupDirShown: "budgie.backup-dir-shown",
  /** Of the backup agent: which kind of store its backups are sent to. */
  objectStore: "budgie.object-store",
  /** Of the backup agent: that the stack has no API of its own. */
  withoutApi: "budgie.without-api",
  /** Of the backup agent: who runs the database, where it is no container of the stack's own. */
  managed: "budgie.managed",
  /** Which container it took the place of, when something else than the stack had removed that one or made it again. */
  inPlaceOf: "budgie.in-place-of",
  /** Of a replica: which one it is. It has no role, because it is on another machine than everything else. */
  replica: "budgie.replica",
  /** Of the database: where it is published for its replicas, with rules that let in nobody else. */
  replicasAt: "budgie.replicas-at",
  /** Of a short-lived container that looks into volumes; one that a kill has left is nobody's server. */
  volumeWork: "budgie.volume-work",
  /** What Pulumi is told to ignore, as it was declared. */
  ignoredInputs: "budgie.ignored-inputs",
  /** Of a volume: which one it was copied from, before that one was made new. */
  keptAside: "budgie.kept-aside",
  /** Of such a volume, where an upgrade of PostgreSQL keeps it: from which version to which, and what the new server is filled from. */
  upgrade: "budgie.upgrade",
  upgradeSource: "budgie.upgrade-source",
  /** Of an image: it was assembled on this machine in place of one that no registry gave (docs/toolchain.md), and from what. */
  standIn: "budgie.stand-in",
  standInKey: "budgie.stand-in-key",
} as const;

/** The filter of an engine's list for what has this label with this value. */
export function labelledAs(label: string, value: string): string {
  return `${label}=${value}`;
}
