/**
 * SQL that writes the server's own pg_hba.conf anew. It removes the lines that end with the mark, and then runs `add`, a part of a shell
 * script that changes the file `$new`. The server writes under another name first. PostgreSQL's own user does it, whoever psql runs as.
 */
export function rewriteRules(mark: string, add: string): string {
  const script = [
    "set -e",
    "cat > /dev/null",
    'old="$0" new="$0.budgie"',
    `grep -v '${mark}$' "$old" > "$new" || [ $? -eq 1 ]`,
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

/** SQL that drops the slots of which `which` is true. A receiver that is cut off may come back at once, so it tries for ten seconds. */
export function dropSlots(which: string): string {
  return `DO $$
     DECLARE slot name;
     BEGIN
       FOR attempt IN 1..100 LOOP
         PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND (${which});
         BEGIN
           FOR slot IN SELECT slot_name FROM pg_replication_slots WHERE ${which} LOOP
             PERFORM pg_drop_replication_slot(slot);
           END LOOP;
           RETURN;
         EXCEPTION WHEN object_in_use THEN
           PERFORM pg_sleep(0.1);
         END;
       END LOOP;
       RAISE 'the replication slot % is still in use', slot;
     END $$;`;
}
