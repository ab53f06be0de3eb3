import { REPLICA_ROLE, REPLICA_SLOT_PREFIX, replicaSlot } from "./replica-name.ts";
import { dropSlots, rewriteRules } from "./server-rules.ts";

/** By which the lines are found again. */
const MARK = "# budgie:replicaHosts";

/** In the server's own folder: its certificate, its key, and who vouches for the replicas. */
export const TLS_FOLDER = "budgie-replication";
export const TLS_FILES = { authority: "authority.crt", certificate: "own.crt", key: "own.key" } as const;

/** What the database is told of its replicas. */
export interface ReplicaAccess {
  names: readonly string[];
  keepMegabytes: number;
  synchronous: boolean;
}

/**
 * What psql is fed so that the replicas, and nobody else on their network, come in. The files of `TLS_FOLDER` must be there. Safe to
 * repeat. With a standby that must confirm and does not answer, a commit would wait for ever; these do not.
 */
export function allowReplicas(
  user: string,
  pointInTime: boolean,
  { names, keepMegabytes, synchronous }: ReplicaAccess,
): string {
  const slots = names.map(name => `'${replicaSlot(name)}'`).join(", ");
  return [
    COMMIT_ALONE,
    `DO $$ BEGIN
       IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${REPLICA_ROLE}') THEN CREATE ROLE ${REPLICA_ROLE}; END IF;
     END $$;`,
    `ALTER ROLE ${REPLICA_ROLE} LOGIN REPLICATION CONNECTION LIMIT -1 PASSWORD NULL VALID UNTIL 'infinity';`,
    `ALTER SYSTEM SET ssl_ca_file = '${TLS_FOLDER}/${TLS_FILES.authority}';`,
    `ALTER SYSTEM SET ssl_cert_file = '${TLS_FOLDER}/${TLS_FILES.certificate}';`,
    `ALTER SYSTEM SET ssl_key_file = '${TLS_FOLDER}/${TLS_FILES.key}';`,
    "ALTER SYSTEM SET ssl = on;",
    `ALTER SYSTEM SET max_slot_wal_keep_size = '${keepMegabytes}MB';`,
    // It is switched on when the replicas are there. Until then every commit would wait.
    ...(synchronous ? [] : ["ALTER SYSTEM RESET synchronous_standby_names;"]),
    rewriteRules(MARK, onlyReplicasFromElsewhere(user, pointInTime)),
    "SELECT pg_reload_conf();",
    dropSlots(`${OF_REPLICAS} AND slot_name NOT IN (${slots})`),
    // It keeps WAL from now on: what is written while the first copy is made must still be there after it.
    `SELECT pg_create_physical_replication_slot(name, true) FROM unnest(ARRAY[${slots}]) AS name
       WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = name);`,
    "",
  ].join("\n");
}

/** Takes all of that back. Does nothing to a server that never had a replica. */
export function withdrawReplicas(): string {
  return [
    `SELECT pg_read_file(current_setting('hba_file')) LIKE '%${MARK}%' AS there \\gset`,
    "\\if :there",
    COMMIT_ALONE,
    "ALTER SYSTEM RESET synchronous_standby_names;",
    ...["ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file", "max_slot_wal_keep_size"].map(
      name => `ALTER SYSTEM RESET ${name};`,
    ),
    `ALTER ROLE ${REPLICA_ROLE} NOLOGIN;`,
    rewriteRules(MARK, ":"),
    "SELECT pg_reload_conf();",
    dropSlots(OF_REPLICAS),
    "\\endif",
    "",
  ].join("\n");
}

/** Every commit waits until one of these has it; with none of them it waits for nobody. */
export function waitForReplicas(names: readonly string[]): string {
  const list = names.map(name => `"${replicaSlot(name)}"`).join(", ");
  return `ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (${list})';\nSELECT pg_reload_conf();\n`;
}

/** For a session that repairs: it must not wait for a replica that is away. */
export const COMMIT_ALONE = "SET synchronous_commit = local;";

const OF_REPLICAS = `starts_with(slot_name::text, '${REPLICA_SLOT_PREFIX}')`;

/**
 * The server has one port, and for its replicas it is published. So who comes from another network is refused, unless it has a certificate
 * of the stack's. The image lets everybody in who has the password; that holds for the stack's own network alone from now on. A rule that
 * the operator has put above it counts first, as before.
 */
function onlyReplicasFromElsewhere(user: string, pointInTime: boolean): string {
  const above = `hostssl all,replication ${REPLICA_ROLE} all cert ${MARK}`;
  const before = [
    `host all all samenet scram-sha-256 ${MARK}`,
    ...(pointInTime ? [`host replication ${user} samenet scram-sha-256 ${MARK}`] : []),
    `host all,replication all all reject ${MARK}`,
  ];
  return [
    `{ echo '${above}'`,
    "while IFS= read -r line; do",
    `case "$line" in "host all all all "*) ${before.map(rule => `echo '${rule}'`).join("; ")} ;; esac`,
    `printf '%s\\n' "$line"`,
    'done < "$new"; } > "$new.2"',
    'mv "$new.2" "$new"',
  ].join("\n");
}
