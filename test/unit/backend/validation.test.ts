import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildApp } from "../../../backend/app.ts";
import { Database } from "../../../backend/database.ts";
import { loggerOptions } from "../../../backend/logging.ts";

// Nothing listens there, so requests that reach the database are answered with 503.
const nowhere = {
  host: "127.0.0.1",
  port: 1,
  name: "budgie_dev",
  user: "budgie_user",
  password: "canary-db",
  poolSize: 1,
};

const log: string[] = [];
const stream = new PassThrough().on("data", chunk => log.push(String(chunk)));
const database = new Database(nowhere, () => {});
const settings = {
  sessionSecret: "canary-secret-of-the-session",
  frontendOrigin: "https://budgie.example",
};
let app: Awaited<ReturnType<typeof buildApp>>;

beforeAll(async () => {
  app = await buildApp(settings, database, { ...loggerOptions(), stream });
});
afterAll(async () => {
  await app.close();
  await database.close();
});

const post = (url: string, payload: string | object, type = "application/json") =>
  app.inject({ method: "POST", url, payload, headers: { "content-type": type } });

const register = (payload: object) => post("/api/auth/register", payload);

describe("a registration", () => {
  it("names every field that is wrong, and never repeats the password", async () => {
    const response = await register({
      email: "not an address",
      first_name: "",
      last_name: "   ",
      password: "canary",
    });
    expect(response.statusCode).toBe(400);
    expect(response.json()).toEqual({
      error:
        "email must be an e-mail address; first_name must not be empty; last_name must not be blank; " +
        "password must have at least 8 characters.",
      details: [
        { field: "email", message: "must be an e-mail address" },
        { field: "first_name", message: "must not be empty" },
        { field: "last_name", message: "must not be blank" },
        { field: "password", message: "must have at least 8 characters" },
      ],
    });
  });

  it("names what is missing and what is not known", async () => {
    const response = await register({ email: "a@example.org", password: "canary-long", firstname: "Ann" });
    expect(response.json().details).toEqual([
      { field: "first_name", message: "is required" },
      { field: "last_name", message: "is required" },
      { field: "firstname", message: "is not a known field" },
    ]);
  });

  it("wants text, not something that could be turned into it", async () => {
    const response = await register({
      email: "a@example.org",
      first_name: null,
      last_name: 7,
      password: ["canary-long"],
    });
    expect(response.json().details).toEqual([
      { field: "first_name", message: "must be text" },
      { field: "last_name", message: "must be text" },
      { field: "password", message: "must be text" },
    ]);
  });

  it("that is not JSON is refused without quoting it", async () => {
    const broken = await post("/api/auth/register", '{"password":"canary-long"');
    expect(broken.statusCode).toBe(400);
    expect(broken.json()).toEqual({ error: "The request's body is not valid JSON." });
    const form = await post(
      "/api/auth/register",
      "password=canary-long",
      "application/x-www-form-urlencoded",
    );
    expect(form.statusCode).toBe(415);
    expect(form.json()).toEqual({ error: "Send the body as application/json." });
    const text = await post("/api/auth/register", "canary-long", "text/plain");
    expect(text.json()).toMatchObject({ details: [{ field: "body", message: "must be a JSON object" }] });
    const huge = await register({ password: "x".repeat(100_000) });
    expect(huge.statusCode).toBe(413);
  });
});

describe("without a database", () => {
  it("the health check says unavailable", async () => {
    const response = await app.inject("/health");
    expect(response.statusCode).toBe(503);
    expect(response.json()).toEqual({ status: "unavailable" });
  });

  it("a valid request is told to come back later", async () => {
    const person = { email: "a@example.org", first_name: "Ann", last_name: "Bee", password: "canary-long" };
    const response = await register(person);
    expect(response.statusCode).toBe(503);
    expect(response.headers["retry-after"]).toBe("2");
    expect(response.headers["set-cookie"]).toBeUndefined();
    expect(response.json()).toEqual({
      error: "The database is not available right now. Try again in a few seconds.",
    });
  });

  it("nobody is signed in", async () => {
    expect((await app.inject("/api/auth/check")).json()).toEqual({ authenticated: false });
    for (const url of ["/api/auth/me", "/api/ledgers", "/api/transactions", "/api/ledgers/x"]) {
      const response = await app.inject(url);
      expect(response.statusCode).toBe(401);
      expect(response.json()).toEqual({ error: "Sign in first." });
    }
  });
});

describe("the API", () => {
  it("admits the frontend's origin with cookies, and no other", async () => {
    const origin = "https://budgie.example";
    const response = await app.inject({ url: "/api/auth/check", headers: { origin } });
    expect(response.headers["access-control-allow-origin"]).toBe(origin);
    expect(response.headers["access-control-allow-credentials"]).toBe("true");
    const other = await app.inject({ url: "/api/auth/check", headers: { origin: "https://evil.example" } });
    expect(other.headers["access-control-allow-origin"]).not.toBe("https://evil.example");
  });

  it("says which address it does not know, without its query", async () => {
    const response = await app.inject("/api/nothing?token=canary");
    expect(response.statusCode).toBe(404);
    expect(response.json()).toEqual({ error: "There is no GET /api/nothing here." });
  });

  // This test comes last: it looks at everything that the API logged in the tests above.
  it("logs requests without passwords, cookies or queries", async () => {
    await app.inject({ url: "/api/auth/check", cookies: { budgie_session: "canary-token" } });
    expect(log.join("")).toContain("/api/auth/register");
    expect(log.join("")).not.toContain("canary");
  });
});
