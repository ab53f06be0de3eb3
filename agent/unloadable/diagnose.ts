import type { Ask } from "../server/questions.ts";
import { violatedCheck, violatedDomain } from "./checks.ts";
import { notImmutable } from "./immutable.ts";
import { type LoadError, parseLoadError } from "./load-error.ts";
import { failingFunction, missingName } from "./names.ts";
import { note, oneLine } from "./repair-lines.ts";
import {
  conflictingRows,
  duplicateKeys,
  misplacedRows,
  missingReferences,
  nullsInColumn,
  tooLongForIndex,
} from "./rows.ts";
import type { Diagnosis, Unloadable } from "./unloadable.ts";

/** The first that recognizes the error says what it is, so the more specific ones come first. */
const KINDS: readonly Diagnosis[] = [
  missingReferences,
  violatedDomain,
  violatedCheck,
  misplacedRows,
  nullsInColumn,
  duplicateKeys,
  conflictingRows,
  tooLongForIndex,
  notImmutable,
  missingName,
  failingFunction,
];

/**
 * For a whole dump of this stack whose load PostgreSQL ended with an error: says what in the database is at fault. The error's text
 * tells the kind; the live database's answers make it exact. Null when `errors` holds no error of PostgreSQL's: then nothing was
 * learnt about the database. Never throws.
 */
export async function diagnoseLoadError(errors: string, ask: Ask): Promise<Unloadable | null> {
  const error = parseLoadError(errors);
  if (error === null) return null;
  for (const kind of KINDS) {
    const found = await kind(error, ask).catch(() => null);
    if (found) return { ...found, object: oneLine(found.object), why: oneLine(found.why) };
  }
  return unrecognized(error);
}

/** `the foreign key b24_a_fkey of public.b24 does not load: …`. This is recorded, and a decision about the fault is bound to it. */
export function describeUnloadable({ object, why }: Unloadable): string {
  return `${object} does not load: ${why}`;
}

function unrecognized(error: LoadError): Unloadable {
  const message = error.message || "the beginning of PostgreSQL's message is lost";
  const context = [error.detail, ...error.context].filter(line => line !== null);
  return {
    object: oneLine(objectOf(error)),
    why: oneLine(`PostgreSQL says: ${message}`),
    repair: [
      note("any restore of this backup, by whatever tool, meets the same error"),
      ...context.map(line => note(`PostgreSQL adds: ${line}`)),
      note("change in the database what the message names"),
    ],
  };
}

const NAME = String.raw`(?:"(?:[^"]|"")+"|[\w$]+)(?:\.(?:"(?:[^"]|"")+"|[\w$]+))?`;
const OBJECTS: readonly [RegExp, (found: string[]) => string][] = [
  [new RegExp(`^COPY (${NAME})`), ([table]) => `the data of ${table}`],
  [
    new RegExp(`^ALTER TABLE (?:ONLY )?(${NAME})\\s+ADD CONSTRAINT (${NAME})`),
    ([table, name]) => `the constraint ${name} of ${table}`,
  ],
  [
    new RegExp(`^CREATE (?:UNIQUE )?INDEX (${NAME}) ON (?:ONLY )?(${NAME})`),
    ([name, table]) => `the index ${name} of ${table}`,
  ],
  [new RegExp(`^REFRESH MATERIALIZED VIEW (${NAME})`), ([view]) => `the materialized view ${view}`],
  [
    new RegExp(
      `^CREATE (?:OR REPLACE )?(?:UNLOGGED |FOREIGN |MATERIALIZED )?(TABLE|VIEW|FUNCTION|PROCEDURE|DOMAIN|TYPE|TRIGGER|EVENT TRIGGER|EXTENSION|SEQUENCE|AGGREGATE|OPERATOR|CAST|RULE|POLICY|STATISTICS|COLLATION) (${NAME})`,
    ),
    ([kind, name]) => `the ${kind?.toLowerCase()} ${name}`,
  ],
];

/** What the statement makes or fills. */
function objectOf({ statement, context }: LoadError): string {
  for (const [pattern, name] of OBJECTS) {
    const found = pattern.exec(statement?.trim() ?? "");
    if (found) return name(found.slice(1));
  }
  const copied = /^COPY (.+), line \d+/.exec(context.at(-1) ?? "");
  return copied ? `the data of ${copied[1]}` : "something in it";
}
