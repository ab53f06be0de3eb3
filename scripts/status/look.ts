import { z } from "zod";
import { EXIT } from "../../shared/exit-codes.ts";
import {
  AGENT_LINES,
  inOrder,
  LEVELS,
  LINES,
  type LineId,
  type StatusLine,
  statusLine,
  type Verdict,
  verdictOf,
} from "../../shared/status-lines.ts";
import { withDeadline } from "../../shared/with-deadline.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { engineLines, joined, stackMissing } from "../stack/stack-lines.ts";
import { askAgent } from "../to-agent/agent-command.ts";

/** All that is known of a stack, in the shape of docs/status.md. */
export interface Seen {
  lines: StatusLine[];
  verdict: Verdict;
  /** What is printed with --json. */
  json: Record<string, unknown> & { verdict: Verdict; fine: boolean; problems: string[] };
  code: number;
}

const AGENT_ANSWERS_MS = 120_000;

/** Looks at the engine and asks the agent. Throws a Stop when it is not clear which stack is meant. */
export async function look(find: () => Promise<Stack>): Promise<Seen> {
  let stack: Stack;
  try {
    stack = await find();
  } catch (error) {
    const lines = stackMissing(error);
    return {
      lines,
      verdict: verdictOf(lines),
      json: asJson({ stack: null }, lines, []),
      code: EXIT.engineOrContainerMissing,
    };
  }
  const [engine, agent] = await Promise.all([engineLines(stack), askForStatus(stack)]);
  const named = { id: "stack" as const, figure: `${stack.name}, names begin with ${stack.prefix}` };
  const lines = inOrder(joined([named, ...engine], agent.lines));
  const containers = stack.containers.map(({ role, name, running, state }) => ({
    role,
    name,
    running,
    state,
  }));
  const json = asJson({ stack: stack.name, ...agent.status }, lines, containers);
  return { lines, verdict: json.verdict, json, code: json.fine ? EXIT.done : EXIT.notFine };
}

function asJson(status: Record<string, unknown>, lines: StatusLine[], containers: object[]): Seen["json"] {
  const verdict = verdictOf(lines, wellOf(status));
  const fine = verdict.level === "OK" || verdict.level === "WARN";
  const problems = lines.flatMap(line => line.problems);
  const said = fine || problems.length > 0 ? problems : [`${verdict.sentence}.`];
  return { ...NOTHING_KNOWN, ...status, verdict, fine, problems: said, lines, containers };
}

/** What is in the JSON however little is known: docs/status.md. */
const NOTHING_KNOWN = {
  at: null,
  database: null,
  server: null,
  previousDatabases: [],
  backups: null,
  lastRun: null,
  lastDrill: null,
  lastPointInTimeDrill: null,
  next: null,
  pointInTime: null,
  recovery: null,
  versions: null,
  offsite: null,
  offsiteSsh: null,
  warnings: [],
};

/** How the agent ends the sentence that all is well. */
function wellOf({ allIsWell }: Record<string, unknown>): string {
  return typeof allIsWell === "string" ? allIsWell : "";
}

const lineId = z.string().transform(id => (id in LINES ? id : "other") as LineId);
const agentAnswer = z.looseObject({
  lines: z
    .array(
      z.object({
        id: lineId,
        what: z.string(),
        level: z.enum(LEVELS),
        figure: z.string(),
        problems: z.array(z.string()),
        notes: z.array(z.string()),
        next: z.string().nullable(),
      }),
    )
    // An agent that is older than these commands has none.
    .default([]),
  problems: z.array(z.string()),
});

interface AgentStatus {
  lines: StatusLine[];
  /** Its own JSON; empty when it did not answer. */
  status: Record<string, unknown>;
}

/** Asks the agent. When it does not answer, every line of its is unknown, and one says why. */
async function askForStatus(stack: Stack): Promise<AgentStatus> {
  const agent = stack.containers.find(({ role }) => role === "backup-agent");
  if (!agent?.running) return { lines: unknown("the agent does not run"), status: {} };
  try {
    const { stdout, code } = await withDeadline(
      askAgent(stack, { args: ["status", "--json"] }),
      AGENT_ANSWERS_MS,
    );
    if (stdout === "") throw new Error(`it ended with exit code ${code}`);
    const status = agentAnswer.parse(JSON.parse(stdout));
    const { lines, problems } = status;
    if (lines.length === 0 && problems.length > 0)
      return {
        lines: [statusLine("other", { figure: "the agent is of an older version", problems })],
        status,
      };
    return { lines, status };
  } catch (error) {
    const problem = `The agent does not say how things stand: ${(error as Error).message}. See what it says: npx budgie logs backup`;
    const told = statusLine("agent", { figure: "does not answer", problems: [problem] });
    return { lines: [...unknown("the agent does not answer"), told], status: {} };
  }
}

function unknown(unasked: string): StatusLine[] {
  return AGENT_LINES.map(id => statusLine(id, { figure: null, unasked }));
}
