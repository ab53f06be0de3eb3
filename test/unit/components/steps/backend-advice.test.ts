import { describe, expect, it } from "vitest";
import { backendAdvice, withoutStackTrace } from "../../../../components/steps/backend-advice.ts";

const given = { inEnvironment: false, user: "budgie_user" };

describe("what an API that does not start is advised by its log", () => {
  it.each([
    [
      "Error: SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string",
      "backendSecretsInEnvironment true",
    ],
    ["Error: DB_PASSWORD is required in production", "backendSecretsInEnvironment true"],
    ["Error: secret option required for sessions", "backendSecretsInEnvironment true"],
    ['error: password authentication failed for user "budgie_user"', "backendSecretsInEnvironment true"],
    [
      "budgie-backend: the database budgie_dev at budgie-db:5432 cannot be used: the database holds tables that another backend made; run that backend instead",
      "budgie:backendImage IMAGE     # the one that made the tables",
    ],
    [
      'budgie-backend: the database budgie_dev at budgie-db:5432 cannot be used: the migration 0003-notes failed, and nothing of it was kept: column "note" of relation "entries" contains null values',
      "git checkout VERSION",
    ],
    [
      "budgie-backend: the database budgie_dev at budgie-db:5432 cannot be used: the database was migrated by a newer backend (0003-notes); run that version",
      "npx budgie restore BACKUP",
    ],
    ['error: column "note" of relation "entries" does not exist', "budgie:backendImage IMAGE"],
    ['SequelizeDatabaseError: column "note" does not exist', "budgie:backendImage IMAGE"],
    ["error: cannot execute CREATE TABLE in a read-only transaction", "RESET default_transaction_read_only"],
    ["error: sorry, too many clients already", "npx budgie status"],
    ["Error: Cannot find module '/app/server.js'", "one of Budgie's API"],
    ["exec /usr/local/bin/docker-entrypoint.sh: exec format error", "one for this machine"],
  ])("%s", (log, next) => {
    expect(backendAdvice(`starting\n${log}\n`, given)?.next).toContain(next);
  });

  it("no setting that is set already", () => {
    const log = "client password must be a string";
    expect(backendAdvice(log, { ...given, inEnvironment: true })?.next).not.toContain("config set");
  });

  it("nothing where the log says nothing that is known", () => {
    expect(backendAdvice("listening on 3001", given)).toBeUndefined();
    // The names of the variables alone are no complaint.
    expect(backendAdvice("reading DB_PASSWORD_FILE and SESSION_SECRET_FILE", given)).toBeUndefined();
  });
});

describe("a log without stack traces", () => {
  it("keeps what went wrong", () => {
    const log = [
      "/app/server.js:12",
      "Error: no database",
      "    at Object.<anonymous> (/app/server.js:12:9)",
      "    at async main (file:///app/main.js:3:1)",
      "",
      "",
      "Node.js v24.1.0",
    ].join("\n");
    expect(withoutStackTrace(log)).toBe("/app/server.js:12\nError: no database\n\nNode.js v24.1.0");
  });
});
