import { SLOT } from "../agent/wal-server.ts";

/** By which the line is found again. */
const MARK = "# budgie:pointInTime";

/**
 * What the server keeps for an agent that is away, at most. Beyond it the WAL of then is lost for point in time, and the volume is
 * not full.
 */
const KEPT_FOR_RECEIVER = "1GB";

/**
 * What psql is fed to let the agent receive the server's WAL. `all` in pg_hba.conf does not stand for replication, so it gets a
 * line of its own; the server writes its file itself, under another name first. Can be repeated; changes nothing that is right.
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

/** The other way round, the slot included: a slot that nobody reads from has the server keep WAL for nobody. */
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

/** Without the marked line, and with what `add` appends to \`$new\`. By PostgreSQL's own user, whoever psql runs as. */
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
