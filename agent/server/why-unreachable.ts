import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { unreachableManaged } from "./managed.ts";

/** What a failed connection says of itself. The codes are PostgreSQL's; node's own are words. */
interface Refused {
  code?: string;
  message: string;
}

/** Says why the server could not be reached, and what helps in that very case. */
export function unreachableDatabase(
  { host, port, user, managed }: Pick<AgentSettings, "host" | "port" | "user" | "managed">,
  database: string,
  error: unknown,
): Stop {
  const refused = innermost(error);
  if (managed) return unreachableManaged({ host, port, user }, database, refused);
  const said = refused.message.replace(/\.$/, "");
  const { why, next } = explain(refused, user, database);
  return new Stop(
    EXIT.databaseUnreachable,
    `The database ${database} at ${host}:${port} cannot be reached: ${said}.${why ? ` ${why}` : ""}`,
    next,
  );
}

function innermost(error: unknown): Refused {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0]);
  return error instanceof Error ? error : { message: String(error) };
}

function explain({ code, message }: Refused, user: string, database: string): { why?: string; next: string } {
  // A volume that was copied from elsewhere still has the password from there. The server does not tell an expired one from a wrong one.
  if (code === "28P01") {
    return {
      why: `The password of ${user} was changed in the database, or its time (VALID UNTIL) is over.`,
      next: "`npm run pulumi -- up` sets the password again and takes back its end, and says so when the volume is another environment's.",
    };
  }
  if (code === "28000" && message.includes("not permitted to log in")) {
    return {
      why: `Somebody took the right to log in from ${user} (NOLOGIN).`,
      next: "`npm run pulumi -- up` gives it back; the database is stopped for a moment then.",
    };
  }
  if (code === "28000") {
    return { next: 'The server\'s rules: npx budgie psql -- -c "TABLE pg_hba_file_rules"' };
  }
  if (code === "53300") return tooMany(message, user, database);
  if (code === "55000") {
    return {
      next: `Let sessions in again: npx budgie psql -- -d postgres -c 'ALTER DATABASE "${database}" ALLOW_CONNECTIONS true'`,
    };
  }
  if (code === "57P03") return { next: "Wait until it is up: npx budgie logs db" };
  return {
    next: "See `npx budgie status` and `npx budgie logs db`; `npx budgie start` starts a stopped database.",
  };
}

/** A limit of the role or of the database holds for roles that are not superusers. */
function tooMany(message: string, user: string, database: string): { why?: string; next: string } {
  if (message.includes("for role")) {
    return { next: `\`npm run pulumi -- up\` takes back the limit of ${user} (CONNECTION LIMIT).` };
  }
  if (message.includes("for database")) {
    return {
      next: `Take back its limit: npx budgie psql -- -d postgres -c 'ALTER DATABASE "${database}" CONNECTION LIMIT -1'`,
    };
  }
  return {
    why: "Others have taken every connection that the server has, and the places for receivers of its WAL (max_wal_senders), which the agent would take, are gone as well.",
    next: "End what took them. `npx budgie restart db` ends every connection; no row that was committed is lost.",
  };
}
