import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readSettings } from "../../../backend/settings.ts";

const folder = mkdtempSync(join(tmpdir(), "budgie-settings-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const complete = {
  DB_HOST: "budgie-db",
  DB_NAME: "budgie_dev",
  DB_USER: "budgie_user",
  DB_PASSWORD: "canary-password",
  SESSION_SECRET: "canary-secret-of-the-session",
};

function refusal(environment: NodeJS.ProcessEnv): string {
  try {
    readSettings(environment);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("The settings were accepted.");
}

describe("the backend's environment", () => {
  it("needs only the database, its password and the session secret", () => {
    expect(readSettings(complete)).toEqual({
      database: {
        host: "budgie-db",
        port: 5432,
        name: "budgie_dev",
        user: "budgie_user",
        password: "canary-password",
        poolSize: 10,
      },
      drainSeconds: 0,
      sessionSecret: "canary-secret-of-the-session",
      environment: "development",
      host: "127.0.0.1",
      port: 3001,
    });
  });

  it("takes both secrets from files, without the line end", () => {
    const { DB_PASSWORD: _, SESSION_SECRET: __, ...rest } = complete;
    const settings = readSettings({
      ...rest,
      DB_PASSWORD_FILE: file("password", "p4ss word\n"),
      SESSION_SECRET_FILE: file("secret", "0123456789abcdef\r\n"),
    });
    expect(settings.database.password).toBe("p4ss word");
    expect(settings.sessionSecret).toBe("0123456789abcdef");
  });

  it("names everything that is missing in one line", () => {
    expect(refusal({ DB_NAME: "" })).toBe(
      "The environment is not complete: DB_HOST is missing; DB_NAME is missing; DB_USER is missing; " +
        "DB_PASSWORD_FILE (or DB_PASSWORD) is missing; SESSION_SECRET_FILE (or SESSION_SECRET) is missing.",
    );
  });

  it("names everything that is wrong in one line", () => {
    expect(
      refusal({
        ...complete,
        DB_PORT: "70000",
        PORT: "http",
        NODE_ENV: "staging",
        FRONTEND_URL: "budgie.example",
        SESSION_SECRET: "short",
      }),
    ).toBe(
      "The environment is not complete: DB_PORT must be a port number; NODE_ENV must be development, production or test; " +
        "PORT must be a port number; FRONTEND_URL must be an address such as http://localhost; " +
        "SESSION_SECRET must have at least 16 characters.",
    );
  });

  it("refuses a secret given twice, an empty file and a file that is not there, and repeats no secret", () => {
    const message = refusal({
      ...complete,
      DB_PASSWORD_FILE: file("other", "canary-file"),
      SESSION_SECRET: "",
      SESSION_SECRET_FILE: join(folder, "nothing"),
    });
    expect(message).toContain("DB_PASSWORD and DB_PASSWORD_FILE are both set: keep one");
    expect(message).toContain(`SESSION_SECRET_FILE: ${join(folder, "nothing")} cannot be read (ENOENT)`);
    expect(message).not.toContain("canary");
    const empty = file("empty", "\n");
    expect(refusal({ ...complete, SESSION_SECRET: "", SESSION_SECRET_FILE: empty })).toContain(
      `SESSION_SECRET_FILE: ${empty} is empty`,
    );
  });

  it("admits the frontend's origin, whatever its path", () => {
    const settings = readSettings({ ...complete, FRONTEND_URL: "https://budgie.example/app/" });
    expect(settings.frontendOrigin).toBe("https://budgie.example");
  });
});
