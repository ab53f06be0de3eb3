import { SLOT } from "./replication-slot.ts";

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
    rewriteRules(`echo '${line}' >> "$new"`),
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
    rewriteRules(":"),
    `SELECT current_setting('max_slot_wal_keep_size') = '${KEPT_FOR_RECEIVER}' AS ours \\gset`,
    "\\if :ours",
    "ALTER SYSTEM RESET max_slot_wal_keep_size;",
    "\\endif",
    "SELECT pg_reload_conf();",
    "\\endif",
    // A receiver that is cut off comes back at once, but not through these rules.
    `DO $$
     BEGIN
       FOR attempt IN 1..100 LOOP
         PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${SLOT}' AND active;
         BEGIN
           PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${SLOT}';
           RETURN;
         EXCEPTION WHEN object_in_use THEN
           PERFORM pg_sleep(0.1);
         END;
       END LOOP;
       RAISE 'the replication slot ${SLOT} is still in use';
     END $$;`,
    "",
  ].join("\n");
}

/**
 * Removes the marked line, and adds what `add` appends to \`$new\`. PostgreSQL's own user does it, whoever psql runs as.
 */
function rewriteRules(add: string): string {
  const script = [
    "set -e",
    "cat > /dev/null",
    'old="$0" new="$0.budgie"',
    `grep -v '${MARK}$' "$old" > "$new" || [ $? -eq 1 ]`,
    add,
    'sync "$new" 2> /dev/null || sync',
    'mv "$new" "$old"',
  ].join("\n");
  // The path is the shell's $0, so that no sign in it can be taken for the script's.
  return `DO $do$
    BEGIN
      EXECUTE format('COPY (SELECT 1) TO PROGRAM %L',
        'sh -c ' || quote_for_shell || ' ' || path_for_shell)
        FROM (SELECT '''' || replace($script$${script}$script$, '''', '''\\''''') || '''' AS quote_for_shell,
                     '''' || replace(current_setting('hba_file'), '''', '''\\''''') || '''' AS path_for_shell) AS quoted;
    END $do$;`;
}
