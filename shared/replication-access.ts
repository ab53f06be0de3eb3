import { SLOT } from "./replication-slot.ts";
import { dropSlots, rewriteRules } from "./server-rules.ts";

/** By which the line is found again. */
const MARK = "# budgie:pointInTime";

/**
 * How much WAL the server keeps for an agent that is away. Beyond it point in time loses that WAL, and the volume does
 * not fill up.
 */
const KEPT_FOR_RECEIVER = "1GB";

/**
 * What psql is fed to let the agent receive the server's WAL. In pg_hba.conf `all` does not include replication, so that
 * needs a line of its own. The server writes the file itself, under another name first. Safe to repeat: changes nothing
 * that is right.
 */
export function allowReplication(user: string): string {
  const line = `host replication ${user} all scram-sha-256 ${MARK}`;
  return [
    `SELECT NOT EXISTS (SELECT FROM regexp_split_to_table(pg_read_file(current_setting('hba_file')), '\\n') AS line
       WHERE line = '${line}') AS missing \\gset`,
    "\\if :missing",
    rewriteRules(MARK, `echo '${line}' >> "$new"`),
    "\\endif",
    // One that the operator has set is left alone.
    "SELECT current_setting('max_slot_wal_keep_size') = '-1' AS unbounded \\gset",
    "\\if :unbounded",
    `ALTER SYSTEM SET max_slot_wal_keep_size = '${KEPT_FOR_RECEIVER}';`,
    "\\endif",
    "SELECT pg_reload_conf();",
    "",
  ].join("\n");
}

/** Takes all of that back, and the slot too: for a slot that nobody reads from the server would keep WAL in vain. */
export function withdrawReplication(): string {
  return [
    `SELECT pg_read_file(current_setting('hba_file')) LIKE '%${MARK}%' AS there \\gset`,
    "\\if :there",
    rewriteRules(MARK, ":"),
    `SELECT current_setting('max_slot_wal_keep_size') = '${KEPT_FOR_RECEIVER}' AS ours \\gset`,
    "\\if :ours",
    "ALTER SYSTEM RESET max_slot_wal_keep_size;",
    "\\endif",
    "SELECT pg_reload_conf();",
    "\\endif",
    // A receiver that is cut off comes back at once, but not through these rules.
    dropSlots(`slot_name = '${SLOT}'`),
    "",
  ].join("\n");
}
