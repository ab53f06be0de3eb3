import type { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import type pg from "pg";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { keepSecret, takeSecret } from "../base/kept-secret.ts";
import { DumpReader } from "../dump/reader.ts";
import type { Login } from "../server/client-programs.ts";
import { withLoaderSession } from "../server/loader-session.ts";

/** SQL that takes out of a copy what nobody there may see. */
export interface Mask {
  /** The file, as it was typed. */
  shown: string;
  statements: readonly MaskStatement[];
}

export interface MaskStatement {
  sql: string;
  /** Where it begins in the file. */
  line: number;
}

const SHOWN_STATEMENT = 200;

/** Reads a mask from standard input. Throws a Stop for what is no list of SQL statements. */
export async function readMask(input: Readable, shown: string): Promise<Mask> {
  return { shown, statements: statementsOf(await buffer(input), shown) };
}

/** Keeps a mask for the next command, whose standard input is for a backup. Returns where it is. */
export async function keepMask(input: Readable): Promise<string> {
  return keepSecret("mask", await text(input));
}

/** The mask that was kept. Throws a Stop where it is not there, and as `readMask` does. */
export async function takeMask(path: string, shown: string): Promise<Mask> {
  const kept = await takeSecret("mask", path);
  if (kept !== null) return { shown, statements: statementsOf(Buffer.from(kept), shown) };
  throw new Stop(
    EXIT.usage,
    `There is no mask at ${path}; it serves one command.`,
    "Use `npx budgie refresh … --mask FILE.sql`, which gives the agent a mask for this one command.",
  );
}

/** The statements of a file, each by itself, so that one that fails can be named. */
export function statementsOf(file: Buffer, shown: string): MaskStatement[] {
  const statements: MaskStatement[] = [];
  const refuse = (what: string) =>
    new Stop(
      EXIT.usage,
      `${shown} ${what}. Nothing was done.`,
      "A mask holds SQL statements, each with a semicolon at its end. Mend it, then run the same command again.",
    );
  const reader = new DumpReader(piece => {
    if (piece.kind === "command")
      throw refuse(`has a command for psql in line ${piece.line} (${piece.text.slice(0, 60)})`);
    if (piece.kind === "copy") throw refuse("has rows for a COPY, which a mask cannot hold");
    if (piece.kind === "statement") statements.push(statementAt(piece));
  });
  reader.read(file);
  if (!reader.end()) throw refuse("ends in the midst of a statement: is a semicolon missing?");
  if (statements.length === 0) throw refuse("holds no statement");
  return statements;
}

/** Blank lines before a statement belong to it. */
function statementAt({ bytes, line }: { bytes: Buffer; line: number }): MaskStatement {
  const sql = bytes.toString("utf8");
  const before = sql.length - sql.trimStart().length;
  return { sql: sql.trim(), line: line + sql.slice(0, before).split("\n").length - 1 };
}

/**
 * Runs a mask in the candidate, as the role that has filled it: it owns everything there, and may do nothing anywhere else. Throws a Stop
 * that names the statement which failed; then the candidate is not for use.
 */
export function runMask(
  settings: AgentSettings,
  candidate: string,
  login: Login,
  mask: Mask,
  signal: AbortSignal,
): Promise<void> {
  return withLoaderSession(settings, candidate, login, signal, async session => {
    for (const statement of mask.statements) await runStatement(session, mask, statement);
    // A transaction that the mask has begun and not ended would go with the session, and its masking with it.
    await runStatement(session, mask, { sql: "COMMIT;", line: mask.statements.at(-1)?.line ?? 1 });
  });
}

async function runStatement(
  session: pg.Client,
  { shown }: Mask,
  { sql, line }: MaskStatement,
): Promise<void> {
  const failed = (why: string) =>
    new Stop(
      EXIT.failed,
      `The mask ${shown} ended with an error in line ${line}: ${why}. The statement: ${shortened(sql)}`,
      "Mend it, then run the same command again. The mask's role owns all that is in this database, and may do nothing outside of it.",
    );
  const ended = await session.query(sql).catch((error: Error) => {
    throw failed(error.message);
  });
  const isCommit = /^(?:commit|end)\b/i.test(sql);
  if (isCommit && ended.command === "ROLLBACK") throw failed("its transaction had failed before");
}

function shortened(sql: string): string {
  const one = sql.replace(/\s+/g, " ");
  return one.length > SHOWN_STATEMENT ? `${one.slice(0, SHOWN_STATEMENT)}…` : one;
}
