import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect } from "vitest";
import { itSlowly } from "../support/slow-lane.ts";
import { createStack, type TestStack } from "../support/stack/stack.ts";

let stack: TestStack;

afterEach(() => stack?.remove());

const api = async (path: string, options: { method?: string; body?: unknown; cookie?: string } = {}) => {
  const response = await fetch(`${stack.url}/api${path}`, {
    method: options.method ?? (options.body ? "POST" : "GET"),
    headers: {
      // A connection kept open across a restart would fail the next request.
      connection: "close",
      ...(options.body ? { "content-type": "application/json" } : {}),
      ...(options.cookie ? { cookie: options.cookie } : {}),
    },
    ...(options.body ? { body: JSON.stringify(options.body) } : {}),
  });
  const cookie = response.headers.getSetCookie()[0]?.split(";")[0] ?? options.cookie ?? "";
  return { status: response.status, cookie, body: (await response.json()) as Record<string, unknown> };
};

const budgie = async (...args: string[]) => {
  const result = await stack.budgie(args);
  expect(result.code, result.all).toBe(0);
  return result.stdout;
};

/** The user whom the API knows, checked as in the old guide: with the cookie from registering. */
const whoIs = async (cookie: string) => (await api("/auth/check", { cookie })).body;

itSlowly("a household's data outlives restarts, a bad change, destroy and up", async () => {
  stack = await createStack();

  await stack.up();
  const registered = await api("/auth/register", {
    body: { email: "test@example.com", first_name: "Test", last_name: "User", password: "Password123" },
  });
  expect(registered.status).toBe(201);
  const { cookie } = registered;
  const ledger = await api("/ledgers", { body: { name: "Household" }, cookie });
  expect(ledger.status).toBe(201);
  await stack.requireNoChange();

  await budgie("restart");
  expect(await whoIs(cookie)).toMatchObject({ authenticated: true });

  const backup = await budgie("backup");
  expect(backup).toMatch(/\[✓\] Backup created successfully! \(Size: [\d.]+K\)\n\[i\] Total backups: 1$/);
  const [file = ""] = (await readdir(stack.backupDir)).filter(name => /\d\.sql$/.test(name));
  expect(((await stat(join(stack.backupDir, file))).mode & 0o777).toString(8)).toBe("600");
  expect((await stat(join(stack.backupDir, file))).uid).toBe((await stat(stack.backupDir)).uid);
  await budgie("verify");
  await budgie("status");

  const accident = await api(
    `/ledgers/${(ledger.body.ledger as { id: string } | undefined)?.id ?? ledger.body.id}`,
    { method: "DELETE", cookie },
  ).catch(() => null);
  await stack.sql("DELETE FROM users");
  expect(await whoIs(cookie), JSON.stringify(accident)).toEqual({ authenticated: false });

  const restored = await budgie("restore", join(stack.backupDir, file), "--yes");
  for (const step of [1, 2, 3, 4, 5]) expect(restored).toContain(`Step ${step}/5`);
  expect(await whoIs(cookie)).toMatchObject({ authenticated: true });

  const database = await stack.containerId("db");
  await stack.destroy();
  expect((await stack.docker.getVolume(`${stack.prefix}-postgres-data`).inspect()).Name).toBe(
    `${stack.prefix}-postgres-data`,
  );
  await expect(stack.docker.getContainer(database).inspect()).rejects.toMatchObject({ statusCode: 404 });

  await stack.up();
  expect(await whoIs(cookie), "sessions end with their secret, users do not").toEqual({
    authenticated: false,
  });
  const back = await api("/auth/login", { body: { email: "test@example.com", password: "Password123" } });
  expect(back.status, JSON.stringify(back.body)).toBe(200);
  const log = await stack.logs("db");
  expect(log).toContain("database system was shut down at");
  expect(log).not.toContain("interrupted");
  await stack.requireNoChange();
});
