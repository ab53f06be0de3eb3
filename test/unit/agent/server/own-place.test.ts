import { describe, expect, it } from "vitest";
import { asPrepared } from "../../../../agent/server/own-place.ts";
import { unreachableDatabase } from "../../../../agent/server/why-unreachable.ts";

describe("a query in a place of the agent's own", () => {
  it("has its values in its text, each as a text that cannot end it", () => {
    expect(asPrepared("q", "SELECT $1, $2, $3, $4 -- all", ["it's \\ odd", 7, null, ["a", 'b"']])).toBe(
      `PREPARE q AS SELECT $1, $2, $3, $4 -- all\n; EXECUTE q( E'it''s \\\\ odd', '7', NULL,  E'{"a","b\\\\""}'); DEALLOCATE q`,
    );
  });
});

describe("why the database cannot be reached", () => {
  const settings = { host: "budgie-db", port: 5432, user: "budgie_user", managed: null };
  const said = (code: string, message: string) => {
    const stop = unreachableDatabase(settings, "budgie_dev", Object.assign(new Error(message), { code }));
    return `${stop.message} ${stop.next}`;
  };

  it.each([
    [
      "53300",
      'too many connections for role "budgie_user"',
      "`npm run pulumi -- up` takes back the limit of budgie_user",
    ],
    ["53300", 'too many connections for database "budgie_dev"', "CONNECTION LIMIT -1"],
    ["28000", 'no pg_hba.conf entry for host "172.18.0.5"', "pg_hba_file_rules"],
    ["57P03", "the database system is starting up", "Wait until it is up"],
    ["ECONNREFUSED", "connect ECONNREFUSED 172.18.0.2:5432", "npx budgie start"],
  ])("%s, %s", (code, message, next) => {
    expect(said(code, message)).toContain(`cannot be reached: ${message}. `);
    expect(said(code, message)).toContain(next);
  });
});
