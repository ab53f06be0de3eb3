import type { TestAgent } from "../agent/agent.ts";
import { LIVE } from "../database/live.ts";
import { inServer, psql } from "../database/server-psql.ts";
import { snapshotDatabase } from "../database/snapshot.ts";
import type { TestPostgres } from "../servers/postgres.ts";

/** Everything outside the database that a file is loaded into, one line per thing. It changes only when something reaches it. */
export type Outside = string[];

/** What belongs to the whole server, and the sessions. */
const SERVER = `
  SELECT 'role', oid, to_jsonb(r) FROM pg_authid r ORDER BY oid;
  SELECT 'member', roleid::regrole, member::regrole, admin_option FROM pg_auth_members ORDER BY roleid, member;
  SELECT 'role setting', setrole, datname, setconfig FROM pg_db_role_setting LEFT JOIN pg_database d ON d.oid = setdatabase ORDER BY 2, 3;
  SELECT 'database', oid, datname, pg_get_userbyid(datdba), datacl, datallowconn, datconnlimit, datistemplate, dattablespace,
         shobj_description(oid, 'pg_database') FROM pg_database ORDER BY oid;
  SELECT 'tablespace', oid, spcname, spcowner, spcacl, spcoptions FROM pg_tablespace ORDER BY oid;
  SELECT 'shared comment', classoid::regclass, objoid, description FROM pg_shdescription ORDER BY 2, 3;
  SELECT 'parameter', parname, paracl FROM pg_parameter_acl ORDER BY parname;
  SELECT 'slot', slot_name, slot_type, database FROM pg_replication_slots ORDER BY slot_name;
  SELECT 'origin', roname FROM pg_replication_origin ORDER BY roname;
  SELECT 'subscription', subname FROM pg_subscription ORDER BY subname;
  SELECT 'setting', name, setting FROM pg_file_settings ORDER BY seqno;
  SELECT 'access', line_number, type, database, user_name, auth_method FROM pg_hba_file_rules ORDER BY line_number;
  SELECT 'configured at', pg_conf_load_time(), 'started at', pg_postmaster_start_time();
  SELECT 'lock', count(*) FROM pg_locks WHERE locktype = 'advisory';
  SELECT 'session', datname, usename, application_name FROM pg_stat_activity
   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name NOT LIKE 'budgie%' ORDER BY 2, 3, 4;`;

/** The content of somebody else's database. */
const NEIGHBOUR = `
  SELECT current_database(), 'relation', oid::regclass, relfilenode FROM pg_class WHERE oid >= 16384 ORDER BY oid;
  SELECT current_database(), 'function', oid::regprocedure FROM pg_proc WHERE oid >= 16384 ORDER BY oid;
  SELECT current_database(), 'schema', nspname FROM pg_namespace
  -- The server keeps a schema for the temporary tables of each of its slots for sessions, and the agent makes such tables.
  WHERE oid >= 16384 AND nspname !~ '^pg_(toast_)?temp_[0-9]+$' ORDER BY oid;
  SELECT current_database(), 'extension', extname FROM pg_extension ORDER BY extname;
  SELECT current_database(), 'large object', oid FROM pg_largeobject_metadata ORDER BY oid;`;

/** Where the agent's own commands write: on a volume in a stack, and what Node has compiled. Both are closed to all but root. */
const AGENTS_OWN = "-path /records -o -path /var/cache/budgie-agent";

/** All files of a container's own file system, what of them was written since \`MARKER\` was, and its programs. */
const MARKER = "/seen-last-time";
const CONTAINER = `
  files() { find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o ${AGENTS_OWN} \\) -prune -o "$@" -print; }
  files -type f -newer ${MARKER} ! -path ${MARKER} ! -path /run/budgie-health ! -name '.s.PGSQL.*' | sed 's/^/written /'
  files ! -path /run/budgie-health ! -name '.s.PGSQL.*' | sort | sed 's/^/there /'
  for process in /proc/[0-9]*; do
    # One that has just ended has no command any more.
    tr '\\0' ' ' 2>/dev/null < "$process/cmdline" | sed 's/^/runs /; s/ *$//' || true; echo
  done | grep -v -e '^$' -e '^runs *$' -e 'seen-last-time' -e '^runs \\(find\\|sed\\|sort\\|grep\\|tr\\)\\( \\|$\\)' -e '^runs postgres' -e ' postgres: ' | sort`;

/** The names in the data directory. What the server makes and removes by itself is deeper. */
const DATA = `ls -A "$PGDATA" "$PGDATA/pg_tblspc" "$PGDATA/pg_replslot" | sed 's/^/data /'`;

/** Sets the marker: files written in either container from now on are noticed. */
export async function markContainers(postgres: TestPostgres, agent: TestAgent): Promise<void> {
  await inServer(postgres, `touch ${MARKER}`);
  await inAgent(agent, `touch ${MARKER}`);
}

export async function lookOutside(postgres: TestPostgres, agent: TestAgent): Promise<Outside> {
  const live = await snapshotDatabase(postgres, LIVE);
  const parts = [
    await psql(postgres, "postgres", SERVER + NEIGHBOUR),
    await psql(postgres, "template1", NEIGHBOUR),
    live.content.map(line => `live: ${line}`).join("\n"),
    live.schema.map(line => `live: ${line}`).join("\n"),
    prefixed("server", await inServer(postgres, `${CONTAINER}\n${DATA}`)),
    prefixed("agent", await inAgent(agent, CONTAINER)),
    prefixed(
      "backups",
      await inAgent(agent, "ls -A /backups | grep -v -e '^budgie_[0-9_]*[.]' -e '^[.]' || true"),
    ),
  ];
  return parts.join("\n").split("\n").filter(Boolean);
}

async function inAgent(agent: TestAgent, script: string): Promise<string> {
  const { code, stdout, stderr } = await agent.exec(["sh", "-c", script]);
  if (code !== 0) throw new Error(`in the agent's container: ${stderr}`);
  return stdout;
}

function prefixed(where: string, text: string): string {
  return text.replace(/^(?=.)/gm, `${where}: `);
}

/** What was added, and what was removed. */
export function difference(before: Outside, after: Outside): string[] {
  const [was, is] = [new Set(before), new Set(after)];
  return [
    ...after.filter(line => !was.has(line)).map(line => `+ ${line}`),
    ...before.filter(line => !is.has(line)).map(line => `- ${line}`),
  ];
}
