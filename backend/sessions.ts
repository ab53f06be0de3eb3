import { createHmac, randomBytes } from "node:crypto";
import type { Database } from "./database.ts";
import type { User } from "./user.ts";

export const SESSION_COOKIE = "budgie_session";
export const SESSION_SECONDS = 14 * 24 * 3600;

/** The token goes to the browser, its digest to the database: a copy of the database opens no session. */
export interface NewSession {
  token: string;
  digest: Buffer;
}

export class Sessions {
  readonly #database: Database;
  readonly #secret: string;

  constructor(database: Database, secret: string) {
    this.#database = database;
    this.#secret = secret;
  }

  /** A token that nobody can guess; it opens nothing until its digest is stored. */
  create(): NewSession {
    const token = randomBytes(32).toString("base64url");
    return { token, digest: this.#digest(token) };
  }

  /** Stores a session of the user, and forgets the expired ones of everybody. */
  async store(session: NewSession, userId: number): Promise<void> {
    await this.#database.write(
      `WITH expired AS (DELETE FROM sessions WHERE expires_at < now())
       INSERT INTO sessions (token_digest, user_id, expires_at)
       VALUES ($1, $2, now() + make_interval(secs => $3))`,
      [session.digest, userId, SESSION_SECONDS],
    );
  }

  async userOf(token: string): Promise<User | undefined> {
    const rows = await this.#database.read<User>(
      `SELECT u.id, u.email, u.first_name, u.last_name, u.created_at
       FROM sessions s JOIN users u ON u.id = s.user_id
       WHERE s.token_digest = $1 AND s.expires_at > now()`,
      [this.#digest(token)],
    );
    return rows[0];
  }

  async end(token: string): Promise<void> {
    await this.#database.write("DELETE FROM sessions WHERE token_digest = $1", [this.#digest(token)]);
  }

  #digest(token: string): Buffer {
    return createHmac("sha256", this.#secret).update(token).digest();
  }
}
