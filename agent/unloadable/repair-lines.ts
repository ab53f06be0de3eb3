import pg from "pg";

const { escapeIdentifier } = pg;
const LONGEST = 400;

/** A comment among lines that are pasted into psql. Whatever stands in it, such as a row's value, stays on one line. */
export function note(text: string): string {
  return `-- ${oneLine(text)}`;
}

/** Without control characters, which could end a line or move a terminal's cursor; bounded. */
export function oneLine(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ").trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

/** Quoted for SQL, for a name that the database itself has not written. */
export function identifier(...names: readonly (string | null)[]): string {
  return names
    .filter(name => name !== null)
    .map(name => escapeIdentifier(name))
    .join(".");
}
