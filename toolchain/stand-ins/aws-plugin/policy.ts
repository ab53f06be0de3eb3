/**
 * What a policy document says, the same for all the ways to write it: one thing or a list with one thing in it, in any
 * order, statements in any order, everyone as `*` or as `{"AWS": "*"}`. A text that is no policy stays what it is.
 */
export function policyMeaning(text: string): unknown {
  let policy: unknown;
  try {
    policy = JSON.parse(text);
  } catch {
    return text;
  }
  if (typeof policy !== "object" || policy === null || Array.isArray(policy)) return text;
  const { Statement, ...rest } = policy as Record<string, unknown>;
  return { ...rest, Statement: sorted(listOf(Statement).map(statementMeaning)) };
}

function statementMeaning(statement: unknown): unknown {
  if (typeof statement !== "object" || statement === null) return statement;
  const meaning = Object.entries(statement).map(([name, value]) => {
    if (/^(Not)?(Action|Resource)$/.test(name)) return [name, sorted(listOf(value))];
    if (/^(Not)?Principal$/.test(name)) return [name, principalMeaning(value)];
    if (name === "Condition")
      return [name, mapValues(value, operator => mapValues(operator, conditionMeaning))];
    return [name, value];
  });
  return Object.fromEntries(
    meaning.filter(([name, value]) => !(name === "Sid" && value === "")).sort(byName),
  );
}

function principalMeaning(value: unknown): unknown {
  return mapValues(value === "*" ? { AWS: "*" } : value, each => sorted(listOf(each)));
}

/** Numbers and flags are written with and without quotes. */
function conditionMeaning(value: unknown): unknown {
  return sorted(listOf(value).map(String));
}

function mapValues(value: unknown, change: (inner: unknown) => unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) => [name, change(inner)]);
  return Object.fromEntries(entries.sort(byName));
}

function byName([one]: unknown[], [other]: unknown[]): number {
  return String(one) < String(other) ? -1 : 1;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}

function sorted(values: unknown[]): unknown[] {
  return values.toSorted((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));
}
