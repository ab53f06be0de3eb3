import { z } from "zod";
import { DATABASE_NAME } from "./names.ts";

/** Those of libpq's modes that leave nothing to chance. */
export const SSL_MODES = ["disable", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** A database on another server, as the operator's command gives it to the agent: never in an argument, because of the password. */
export const postgresTarget = z.object({
  host: z.string().min(1),
  port: z.number().int().min(1).max(65535),
  user: z.string().min(1),
  password: z.string(),
  database: z.string().regex(DATABASE_NAME),
  sslMode: z.enum(SSL_MODES),
  /** PEM; null: those that are known everywhere. */
  rootCertificate: z.string().nullable(),
});
export type PostgresTarget = z.infer<typeof postgresTarget>;

/** `db.example.com:5432/budgie_production` */
export function shownTarget({
  host,
  port,
  database,
}: Pick<PostgresTarget, "host" | "port" | "database">): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}/${database}`;
}
