import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Database } from "./database.ts";
import { HttpError } from "./errors.ts";
import { hashPassword, UNKNOWN_USER_HASH, verifyPassword } from "./passwords.ts";
import { SESSION_COOKIE, SESSION_SECONDS, type Sessions } from "./sessions.ts";
import type { User } from "./user.ts";
import { addUser, findUser } from "./users.ts";
import { body, fields } from "./validation.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Only on routes behind requireUser. */
    user: User;
  }
}

const registration = body(
  {
    email: fields.email,
    first_name: fields.line(100),
    last_name: fields.line(100),
    password: { type: "string", minLength: 8, maxLength: 1024 },
  },
  { required: ["email", "first_name", "last_name", "password"] },
);

const credentials = body(
  { email: fields.text(254), password: fields.text(1024) },
  { required: ["email", "password"] },
);

interface Registration {
  email: string;
  first_name: string;
  last_name: string;
  password: string;
}

/** /api/auth: register, login, logout, me, check. `cookieSecure` keeps the cookie off plain HTTP. */
export function authRoutes(
  app: FastifyInstance,
  { database, sessions, cookieSecure }: { database: Database; sessions: Sessions; cookieSecure: boolean },
): void {
  const cookie = { path: "/", httpOnly: true, sameSite: "lax", secure: cookieSecure } as const;
  const setCookie = (reply: FastifyReply, token: string) =>
    reply.setCookie(SESSION_COOKIE, token, { ...cookie, maxAge: SESSION_SECONDS });

  app.post<{ Body: Registration }>(
    "/api/auth/register",
    { schema: { body: registration } },
    async (request, reply) => {
      const { password, ...person } = request.body;
      const session = sessions.create();
      const user = await addUser(
        database,
        {
          email: person.email,
          first_name: person.first_name.trim(),
          last_name: person.last_name.trim(),
          passwordHash: await hashPassword(password),
        },
        session,
      );
      if (user === undefined) throw new HttpError(409, "This e-mail address is already registered.");
      setCookie(reply, session.token);
      return reply.code(201).send({ user });
    },
  );

  app.post<{ Body: { email: string; password: string } }>(
    "/api/auth/login",
    { schema: { body: credentials } },
    async (request, reply) => {
      const found = await findUser(database, request.body.email);
      const right = await verifyPassword(request.body.password, found?.password_hash ?? UNKNOWN_USER_HASH);
      if (found === undefined || !right) {
        throw new HttpError(401, "The e-mail address or the password is wrong.");
      }
      const { password_hash: _, ...user } = found;
      const session = sessions.create();
      await sessions.store(session, user.id);
      setCookie(reply, session.token);
      return { user };
    },
  );

  app.post("/api/auth/logout", async (request, reply) => {
    const token = request.cookies[SESSION_COOKIE];
    if (token !== undefined) await sessions.end(token);
    reply.clearCookie(SESSION_COOKIE, cookie);
    return reply.code(204).send();
  });

  app.get("/api/auth/me", { onRequest: requireUser(sessions) }, async request => ({ user: request.user }));

  app.get("/api/auth/check", async request => {
    const user = await currentUser(request, sessions);
    return user === undefined ? { authenticated: false } : { authenticated: true, user };
  });
}

/** Sets `request.user`, or answers 401 before anything else about the request is looked at. */
export function requireUser(sessions: Sessions) {
  return async (request: FastifyRequest): Promise<void> => {
    const user = await currentUser(request, sessions);
    if (user === undefined) throw new HttpError(401, "Sign in first.");
    request.user = user;
  };
}

async function currentUser(request: FastifyRequest, sessions: Sessions): Promise<User | undefined> {
  const token = request.cookies[SESSION_COOKIE];
  return token === undefined ? undefined : await sessions.userOf(token);
}
