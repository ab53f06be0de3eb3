import { scramVerifier } from "./scram.ts";

/**
 * What psql is fed to let the stack's own role in, whatever password and limits it had. It does not hold the password. It is carried out
 * even where the role or the database is read-only by its settings.
 */
export function ownLogin(user: string, password: string): string {
  return `SET default_transaction_read_only = off;\nALTER ROLE ${user} LOGIN CONNECTION LIMIT -1 PASSWORD '${scramVerifier(password)}' VALID UNTIL 'infinity';\n`;
}
