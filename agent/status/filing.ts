import type { LineId } from "../../shared/status-lines.ts";

/**
 * What is wrong and what to know, and which line of the status each sentence belongs to. A sentence that nobody has filed
 * belongs to the line `other`: none is lost.
 */
export interface Filing {
  problems: string[];
  warnings: string[];
  lineOf: Map<string, LineId>;
}

export function emptyFiling(): Filing {
  return { problems: [], warnings: [], lineOf: new Map() };
}

/** Files under `line` whatever `work` adds. */
export async function under<T>(filing: Filing, line: LineId, work: () => T | Promise<T>): Promise<T> {
  const { problems, warnings, lineOf } = filing;
  const [knownProblems, knownWarnings] = [problems.length, warnings.length];
  try {
    return await work();
  } finally {
    for (const text of [...problems.slice(knownProblems), ...warnings.slice(knownWarnings)])
      if (!lineOf.has(text)) lineOf.set(text, line);
  }
}

/** The sentences of one line. */
export function filedUnder(
  { problems, warnings, lineOf }: Filing,
  line: LineId,
): { problems: string[]; notes: string[] } {
  const of = (texts: readonly string[]) =>
    [...new Set(texts)].filter(text => (lineOf.get(text) ?? "other") === line);
  return { problems: of(problems), notes: of(warnings) };
}
