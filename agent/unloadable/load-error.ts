/** What PostgreSQL said when a dump did not load, as psql or pg_restore passed it on. */
export interface LoadError {
  /** The error's own line, or what is left of it where the beginning of the output was cut off. */
  message: string;
  detail: string | null;
  /** SQL text within the statement that failed: a function's body, a query that is a function's argument. */
  query: string | null;
  /** The functions and the COPY that were at work, the innermost first. */
  context: string[];
  /** The statement, where the program shows it. */
  statement: string | null;
  /** The schema of the object that the error is about, where anything says it. */
  schema: string | null;
}

const LABELS = [
  "DETAIL",
  "HINT",
  "QUERY",
  "CONTEXT",
  "STATEMENT",
  "SCHEMA NAME",
  "TABLE NAME",
  "COLUMN NAME",
  "DATATYPE NAME",
  "CONSTRAINT NAME",
  "LOCATION",
  "LINE \\d+",
  "Command was",
];
const SECTION = new RegExp(`^(?:psql:\\S+: )?(${LABELS.join("|")}): *`, "m");
const ERROR = /(?:ERROR|FATAL|PANIC): {2}(?:[0-9A-Z]{5}: )?/;

/**
 * Reads the first error in a program's error output, in any verbosity. Null when PostgreSQL reported none: then the program itself
 * failed.
 */
export function parseLoadError(errors: string): LoadError | null {
  const start = ERROR.exec(errors);
  if (!start && !SECTION.test(errors)) return null;
  const text = start ? errors.slice(start.index + start[0].length) : errors;
  const [message = "", ...parts] = untilNextError(text).split(SECTION);
  const sections = new Map<string, string>();
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const label = parts[at] as string;
    if (!sections.has(label)) sections.set(label, (parts[at + 1] as string).trimEnd());
  }
  const statement = sections.get("STATEMENT") ?? sections.get("Command was") ?? null;
  return {
    message: start ? message.trim() : "",
    detail: sections.get("DETAIL") ?? null,
    query: sections.get("QUERY") ?? null,
    context: sections.get("CONTEXT")?.split("\n") ?? [],
    statement,
    schema: sections.get("SCHEMA NAME") ?? (statement && schemaIn(statement)),
  };
}

/** The schema of the table, view or sequence that a statement of a dump is about. */
function schemaIn(statement: string): string | null {
  const found =
    /\b(?:TABLE(?: ONLY)?|VIEW|COPY|ON(?: ONLY)?|DOMAIN|SEQUENCE)\s+("(?:[^"]|"")+"|[\w$]+)\./.exec(
      statement,
    );
  return found?.[1]?.replace(/^"|"$/g, "").replaceAll('""', '"') ?? null;
}

function untilNextError(text: string): string {
  const next = /^\S.*?: (?:ERROR|error|warning): /m.exec(text);
  return next ? text.slice(0, next.index) : text;
}
