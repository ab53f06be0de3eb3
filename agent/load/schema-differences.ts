import type { DumpEntry, DumpSchema } from "../dump/schema.ts";

const SHOWN_TEXT = 160;
/** The names of these in a dump begin with the name of a table. */
const OF_A_TABLE = new Set([
  "CONSTRAINT",
  "FK CONSTRAINT",
  "CHECK CONSTRAINT",
  "DEFAULT",
  "TRIGGER",
  "RULE",
  "POLICY",
]);

/**
 * What two schemas do not have in common, one line for each object. The order of the objects does not matter: it depends on the
 * numbers that a server gives them.
 */
export function schemaDifferences(expected: DumpSchema, found: DumpSchema): string[] {
  const [before, after] = [byObject(expected.entries), byObject(found.entries)];
  const differences: string[] = [];
  for (const [key, entries] of before) {
    const others = after.get(key) ?? [];
    after.delete(key);
    differences.push(...entryDifferences(entries, others));
  }
  for (const extra of [...after.values()].flat()) differences.push(`${nameOf(extra)} is not in the backup`);
  return differences;
}

/** Several objects can have the same name here: pg_dump writes a line end in a name as a blank. */
function byObject(entries: readonly DumpEntry[]): Map<string, DumpEntry[]> {
  const objects = new Map<string, DumpEntry[]>();
  for (const entry of entries) {
    const key = JSON.stringify([entry.type, entry.schema, entry.name]);
    const same = objects.get(key);
    if (same) same.push(entry);
    else objects.set(key, [entry]);
  }
  return objects;
}

function entryDifferences(expected: readonly DumpEntry[], found: readonly DumpEntry[]): string[] {
  const left = [...found];
  const missing = expected.filter(({ text }) => {
    const same = left.findIndex(other => other.text === text);
    if (same >= 0) left.splice(same, 1);
    return same < 0;
  });
  const differences = missing.map(entry => {
    const other = left.shift();
    return other ? changeOf(entry, other) : `${nameOf(entry)} is missing`;
  });
  return [...differences, ...left.map(entry => `${nameOf(entry)} is not in the backup`)];
}

/** Names the smallest part of the object that differs, and shows what it is and what it was. */
function changeOf(expected: DumpEntry, found: DumpEntry): string {
  const [before, after] = [expected.text.split("\n"), found.text.split("\n")];
  const at = before.findIndex((line, index) => line !== after[index]);
  const was = at < 0 ? "" : (before[at] ?? "");
  const is = after[at < 0 ? before.length : at] ?? "";
  return `${partOf(expected, was, is)}: ${shown(is)} instead of ${shown(was)}`;
}

function partOf(entry: DumpEntry, was: string, is: string): string {
  const constraint =
    /^ {4}CONSTRAINT ("(?:[^"]|"")+"|\S+) /.exec(was) ?? /^ {4}CONSTRAINT ("(?:[^"]|"")+"|\S+) /.exec(is);
  if (entry.type !== "TABLE" || !/^ {4}\S/.test(was)) return nameOf(entry);
  const table = `${entry.schema}.${entry.name}`;
  if (constraint) return `the constraint ${constraint[1]} of ${table}`;
  return `the column ${/^ {4}("(?:[^"]|"")+"|\S+)/.exec(was)?.[1]} of ${table}`;
}

/** `the index public.by_name`, `the constraint t_pkey of public.t` */
function nameOf({ type, schema, name }: DumpEntry): string {
  const kind = type.toLowerCase();
  const [table, ...rest] = name.split(" ");
  if (OF_A_TABLE.has(type) && rest.length > 0) return `the ${kind} ${rest.join(" ")} of ${schema}.${table}`;
  if (type === "COMMENT" || type === "ACL") return `the ${type === "ACL" ? "grants" : "comment"} of ${name}`;
  return schema === "-" ? `the ${kind} ${name}` : `the ${kind} ${schema}.${name}`;
}

function shown(line: string): string {
  const text = line.trim().replace(/\s+/g, " ").replace(/[,;]$/, "");
  if (text === "") return "nothing";
  return text.length > SHOWN_TEXT ? `${text.slice(0, SHOWN_TEXT)}…` : text;
}
