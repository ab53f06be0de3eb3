/** Of the slots of the stack's replicas. The rest of a slot's name is the replica's. */
export const REPLICA_SLOT_PREFIX = "budgie_replica_";
/** The database's role that replicas connect as, over TLS and with a certificate of the stack's. It has no password. */
export const REPLICA_ROLE = "budgie_replica";

/** What the replica on an engine is called, from the engine's address: `db2_example_com` for `ssh://budgie@db2.example.com`. */
export function replicaName(host: string): string {
  const { hostname, port, pathname } = new URL(host);
  const words = hostname ? [hostname, port] : [pathname];
  const name =
    words
      .join(" ")
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? [];
  // PostgreSQL's names end at 63 characters, and what tells two paths apart is at their end.
  return name.join("_").slice(-40).replace(/^_/, "");
}

/** The slot that a replica reads through. It is also the name under which the database sees the replica. */
export function replicaSlot(name: string): string {
  return `${REPLICA_SLOT_PREFIX}${name}`;
}
