import { readFileSync } from "node:fs";
import { z } from "zod";

export interface Settings {
  /** `poolSize`: how many connections to it there are at most. */
  database: {
    host: string;
    port: number;
    name: string;
    user: string;
    password: string;
    poolSize: number;
  };
  /** How long it serves on, asking every client to connect anew, once it is told to close. */
  drainSeconds: number;
  /** Keys the digests under which sessions are stored; changing it ends every session. */
  sessionSecret: string;
  environment: "development" | "production" | "test";
  host: string;
  port: number;
  /** The one origin whose pages may call the API with cookies, e.g. `http://localhost:5173`; none when unset. */
  frontendOrigin?: string;
}

/** Its message is one line that names everything wrong at once, and no secret. */
export class SettingsError extends Error {}

const text = z.string("is missing").trim().min(1, "is missing");
const notPort = "must be a port number";
const port = z.coerce.number(notPort).int(notPort).min(1, notPort).max(65535, notPort);

const count = (from: number, to: number) => {
  const not = `must be a whole number from ${from} to ${to}`;
  return z.coerce.number(not).int(not).min(from, not).max(to, not);
};

const schema = z.object({
  DB_HOST: text,
  DB_PORT: port.default(5432),
  DB_NAME: text,
  DB_USER: text,
  NODE_ENV: z
    .enum(["development", "production", "test"], "must be development, production or test")
    .default("development"),
  HOST: text.default("127.0.0.1"),
  PORT: port.default(3001),
  DB_POOL_SIZE: count(1, 1000).default(10),
  DRAIN_SECONDS: count(0, 300).default(0),
  FRONTEND_URL: z
    .url({ protocol: /^https?$/, error: "must be an address such as http://localhost" })
    .optional(),
});

/** Reads the environment. An empty variable counts as unset. Throws SettingsError. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const problems: string[] = [];

  const parsed = schema.safeParse(set);
  for (const issue of parsed.error?.issues ?? []) {
    problems.push(`${issue.path.join(".")} ${issue.message}`);
  }
  const password = readSecret("DB_PASSWORD", set, problems);
  const sessionSecret = readSecret("SESSION_SECRET", set, problems);
  if (sessionSecret !== "" && sessionSecret.length < 16) {
    problems.push("SESSION_SECRET must have at least 16 characters");
  }

  if (!parsed.success || problems.length > 0) {
    throw new SettingsError(`The environment is not complete: ${problems.join("; ")}.`);
  }
  const { DB_HOST, DB_PORT, DB_NAME, DB_USER, NODE_ENV, HOST, PORT, FRONTEND_URL } = parsed.data;
  const { DB_POOL_SIZE: poolSize, DRAIN_SECONDS } = parsed.data;
  return {
    database: { host: DB_HOST, port: DB_PORT, name: DB_NAME, user: DB_USER, password, poolSize },
    sessionSecret,
    environment: NODE_ENV,
    host: HOST,
    port: PORT,
    drainSeconds: DRAIN_SECONDS,
    ...(FRONTEND_URL === undefined ? {} : { frontendOrigin: new URL(FRONTEND_URL).origin }),
  };
}

/** The value of NAME, or the content of the file that NAME_FILE names; notes a problem and gives "" when there is neither. */
function readSecret(name: string, environment: NodeJS.ProcessEnv, problems: string[]): string {
  const value = environment[name];
  const file = environment[`${name}_FILE`];
  if (value !== undefined && file !== undefined) {
    problems.push(`${name} and ${name}_FILE are both set: keep one`);
    return "";
  }
  if (file === undefined) {
    if (value === undefined) problems.push(`${name}_FILE (or ${name}) is missing`);
    return value ?? "";
  }
  try {
    const content = readFileSync(file, "utf8").replace(/\r?\n$/, "");
    if (content === "") problems.push(`${name}_FILE: ${file} is empty`);
    return content;
  } catch (error) {
    problems.push(`${name}_FILE: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
    return "";
  }
}
