import pg from "pg";
import type { Database } from "./database.ts";
import { type NewSession, SESSION_SECONDS } from "./sessions.ts";
import type { User } from "./user.ts";

/** Adds the user together with a first session, or neither. Gives undefined when the e-mail address, in any case, is taken. */
export async function addUser(
  database: Database,
  user: { email: string; first_name: string; last_name: string; passwordHash: string },
  session: NewSession,
): Promise<User | undefined> {
  try {
    const rows = await database.write<User>(
      `WITH new_user AS (
         INSERT INTO users (email, first_name, last_name, password_hash) VALUES ($1, $2, $3, $4)
         RETURNING id, email, first_name, last_name, created_at
       ), new_session AS (
         INSERT INTO sessions (token_digest, user_id, expires_at)
         SELECT $5, id, now() + make_interval(secs => $6) FROM new_user
       )
       SELECT * FROM new_user`,
      [user.email, user.first_name, user.last_name, user.passwordHash, session.digest, SESSION_SECONDS],
    );
    return rows[0];
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.constraint === "users_email_key") return undefined;
    throw error;
  }
}

export async function findUser(
  database: Database,
  email: string,
): Promise<(User & { password_hash: string }) | undefined> {
  const rows = await database.read<User & { password_hash: string }>(
    `SELECT id, email, first_name, last_name, created_at, password_hash
     FROM users WHERE lower(email) = lower($1)`,
    [email],
  );
  return rows[0];
}
