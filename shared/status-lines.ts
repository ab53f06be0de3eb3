// What `npx budgie status` shows, line by line. The agent makes most of the lines, and the operator's side those about containers.

/** Mildest first. `unknown`: it could not be asked, which is not fine either. */
export const LEVELS = ["OK", "WARN", "unknown", "FAIL"] as const;
export type Level = (typeof LEVELS)[number];

/** Every line there is, in the order in which they are shown. The names are stable: docs/status.md. */
export const LINES = {
  stack: "Stack",
  database: "Database",
  volume: "Volume",
  disk: "Disk",
  backend: "Backend",
  backup: "Last backup",
  proven: "Last proven restore",
  catalogue: "Backups",
  recovery: "Recovery",
  store: "Object store",
  copies: "Copies off-site",
  "point-in-time": "Point in time",
  schedule: "Schedule",
  refresh: "Refresh",
  replicas: "Replicas",
  slots: "Replication slots",
  alerts: "Alerts",
  agent: "Agent",
  versions: "Versions",
  other: "Also",
} as const;
export type LineId = keyof typeof LINES;

/** Those that only the agent can tell. */
export const AGENT_LINES = [
  "database",
  "disk",
  "backup",
  "proven",
  "catalogue",
  "recovery",
  "copies",
  "point-in-time",
  "schedule",
  "slots",
  "alerts",
  "versions",
] as const satisfies readonly LineId[];

export interface StatusLine {
  id: LineId;
  /** What it is about, for people. */
  what: string;
  level: Level;
  /** How it is, in a few words. */
  figure: string;
  /** What is wrong, and what to know, in whole sentences. Empty when all is well. */
  problems: string[];
  notes: string[];
  /** The command that helps; null where none is needed, or the sentences say more than one. */
  next: string | null;
}

/** What the whole comes to. */
export interface Verdict {
  level: Level;
  sentence: string;
}

export interface LineFacts {
  /** null: it could not be asked. */
  figure: string | null;
  /** Why it could not be asked, as the end of a sentence. */
  unasked?: string;
  problems?: readonly string[];
  notes?: readonly string[];
  /** What to type when something is wrong and no sentence says so. */
  next?: string;
}

/** A problem makes it FAIL, a note WARN, and what could not be asked is unknown. */
export function statusLine(id: LineId, facts: LineFacts): StatusLine {
  const { figure, problems = [], notes = [] } = facts;
  const level = problems.length > 0 ? "FAIL" : figure === null ? "unknown" : notes.length > 0 ? "WARN" : "OK";
  return {
    id,
    what: LINES[id],
    level,
    figure: figure ?? `not known${facts.unasked ? `: ${facts.unasked}` : ""}`,
    problems: [...problems],
    notes: [...notes],
    next:
      commandIn([...problems, ...notes]) ??
      (level === "FAIL" || level === "unknown" ? (facts.next ?? null) : null),
  };
}

export function inOrder(lines: readonly StatusLine[]): StatusLine[] {
  const order = Object.keys(LINES);
  return [...lines].sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
}

/** The worst of them. Its sentence begins with what decides, and says how many more there are. */
export function verdictOf(lines: readonly StatusLine[], allIsWell = ""): Verdict {
  const level = worst(lines.map(line => line.level));
  const of = lines.filter(line => line.level === level);
  const count = (texts: number) => (texts > 1 ? ` (and ${texts - 1} more)` : "");
  if (level === "FAIL") {
    const problems = of.flatMap(line => line.problems);
    return {
      level,
      sentence: `Something is wrong: ${firstLine(problems[0] ?? "")}${count(problems.length)}`,
    };
  }
  if (level === "unknown") {
    const names = of.map(({ what }) => what.toLowerCase()).join(", ");
    return { level, sentence: `Not everything is known: ${names}` };
  }
  const well = `Everything is as it should be${allIsWell && `: ${allIsWell}`}`;
  if (level === "OK") return { level, sentence: well };
  const notes = of.flatMap(line => line.notes);
  return { level, sentence: `${well}. ${notes.length === 1 ? "One note" : `${notes.length} notes`} below` };
}

export function worst(levels: readonly Level[]): Level {
  return LEVELS[Math.max(0, ...levels.map(level => LEVELS.indexOf(level)))] ?? "unknown";
}

const MARKS = { OK: "✓", WARN: "i", unknown: "?", FAIL: "!" } as const;

/** As it is printed: the sentence, then the lines, each with its own sentences below it. */
export function statusText({ level, sentence }: Verdict, lines: readonly StatusLine[]): string {
  const said = lines.flatMap(line => [
    `${line.level.padEnd(7)} ${line.what}: ${line.figure}`,
    ...line.problems.map(problem => below(`! ${problem}`)),
    ...line.notes.map(note => below(`Note: ${note}`)),
    ...nextOf(line),
  ]);
  return `${[`[${MARKS[level]}] ${sentence}`, ...said].join("\n")}\n`;
}

/** Only where the sentences do not say it. */
function nextOf({ level, problems, notes, next }: StatusLine): string[] {
  if (level === "OK" || next === null || [...problems, ...notes].join("\n").includes(next)) return [];
  return [below(`Type: ${next}`)];
}

function below(text: string): string {
  return `        ${text.replaceAll("\n", "\n    ")}`;
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}

/** `npx budgie backup`: the first command that the sentences name. */
function commandIn(sentences: readonly string[]): string | null {
  for (const sentence of sentences) {
    const quoted = /`((?:npx budgie|npm run) [^`]+)`/.exec(sentence)?.[1];
    const closing = /: ((?:npx budgie|npm run) \S.*?)\.?(?:$|\. [A-Z])/m.exec(sentence)?.[1];
    const found = quoted ?? closing;
    if (found) return found;
  }
  return null;
}
