import { isLocal } from "../../engine/address.ts";
import type { BackendService } from "../../engine/backend-service.ts";
import { engineClient, inTime } from "../../engine/client.ts";
import { collectIfRunning } from "../../engine/run-in-container.ts";
import { unlessMissing } from "../../engine/unless-missing.ts";
import { apiProblem } from "../../shared/api-health.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { LABEL } from "../../shared/labels.ts";
import { databaseVolumeName, type Role } from "../../shared/names.ts";
import { type LineFacts, type LineId, type StatusLine, statusLine } from "../../shared/status-lines.ts";
import { otherServerProblems } from "./only-server.ts";
import { containerOf, managedBy, rolesOf, type Stack } from "./stack-containers.ts";

/** What the engine tells of a line, or has to add to what the agent tells of it. */
export type Told = { id: LineId } & LineFacts;

const LINE_OF: Record<Role, LineId> = {
  database: "database",
  backend: "backend",
  "backup-agent": "agent",
  "object-store": "store",
};
const DATA = "/var/lib/postgresql/data";
const KB = 1024;
const NEARLY_FULL_BYTES = 256 * KB ** 2;
const FILLING_BYTES = 2 * KB ** 3;

/** What the engine shows of the stack. Never throws: what cannot be asked is unknown. */
export async function engineLines(stack: Stack): Promise<Told[]> {
  return [
    ...rolesOf(stack).map(role => containerLine(stack, role)),
    await withApi(stack),
    ...(managedBy(stack) === undefined ? [await volumeLine(stack)] : []),
  ];
}

function containerLine(stack: Stack, role: Role): Told {
  const id = LINE_OF[role];
  try {
    const { name, state, service } = containerOf(stack, role);
    return { id, figure: `${name} ${state}`, ...(service ? { problems: problemsOfSeveral(service) } : {}) };
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    const found = stack.containers.find(container => container.role === role);
    const figure = found ? `${found.name} ${found.state}` : "missing";
    return { id, figure, problems: [`${error.message} ${error.next ?? ""}`.trim()] };
  }
}

/** The others serve on, so nobody else notices. */
function problemsOfSeveral({ name, running, declared, wanted, update }: BackendService): string[] {
  if (update === "rolled back")
    return [
      `The newest version of ${name} did not come up, so the one before serves. See why: npx budgie logs backend. Then: npm run pulumi -- up --refresh`,
    ];
  if (update === "stuck")
    return [`An update of ${name} stands still. Put it right: npm run pulumi -- up --refresh`];
  if (running >= declared || update === "under way") return [];
  const next = wanted < declared ? "npx budgie start backend" : "npx budgie logs backend";
  return [`Only ${running} of ${declared} backends run. Next: ${next}`];
}

/** Asks the API itself where its address is this machine's. */
async function withApi({ containers, engine }: Stack): Promise<Told> {
  const backend = containers.find(({ role }) => role === "backend");
  const url = backend?.labels[LABEL.url];
  if (!backend?.running || !url) return { id: "backend", figure: "" };
  if (!isLocal(engine.host)) return { id: "backend", figure: url };
  const problem = await apiProblem(url);
  if (problem === null) return { id: "backend", figure: `${url} serves` };
  return {
    id: "backend",
    figure: url,
    problems: [`The API does not serve: ${problem}. See what it says: npx budgie logs backend`],
  };
}

async function volumeLine(stack: Stack): Promise<Told> {
  const volume = databaseVolumeName(stack.prefix);
  const others = await otherServerProblems(stack).catch((error: Error) => [
    `Whether another container is at work on the database's volume is not known: ${error.message}`,
  ]);
  const client = engineClient(stack.engine.host);
  try {
    const there = await inTime(unlessMissing(client.getVolume(volume).inspect()));
    if (!there)
      return {
        id: "volume",
        figure: `${volume} is missing`,
        problems: [
          ...others,
          `The volume ${volume} with the database is gone. What \`npm run up\` says leads back.`,
        ],
      };
    const room = await roomOfVolume(stack);
    return room === null
      ? {
          id: "volume",
          figure: others.length > 0 ? volume : null,
          unasked: "the database does not run",
          problems: others,
        }
      : {
          id: "volume",
          figure: `${volume}, ${gigabytes(room.free)} of ${gigabytes(room.all)} free`,
          ...roomFacts(room, others),
        };
  } catch (error) {
    return { id: "volume", figure: null, unasked: (error as Error).message, problems: others };
  }
}

interface Room {
  free: number;
  all: number;
}

/** Of the disk that the volume lies on, as the database sees it. null where it does not run. */
async function roomOfVolume(stack: Stack): Promise<Room | null> {
  const database = stack.containers.find(({ role }) => role === "database");
  if (!database?.running) return null;
  const asked = await inTime(collectIfRunning(database.container, ["df", "-Pk", DATA]));
  const [, all, , free] = (asked?.stdout.trim().split("\n").at(-1) ?? "").split(/\s+/).map(Number);
  return Number.isFinite(all) && Number.isFinite(free)
    ? { all: (all as number) * KB, free: (free as number) * KB }
    : null;
}

function roomFacts({ free }: Room, others: readonly string[]): Pick<LineFacts, "problems" | "notes"> {
  const left = `The disk with the database's volume has ${gigabytes(free)} left`;
  const stops = "A database that cannot write stops.";
  if (free < NEARLY_FULL_BYTES)
    return {
      problems: [...others, `${left}: it is nearly full. ${stops} Free space, or move to a larger disk.`],
    };
  return { problems: others, notes: free < FILLING_BYTES ? [`${left}. ${stops}`] : [] };
}

/** `47M`, `1.2G`. */
export function gigabytes(bytes: number): string {
  return bytes < KB ** 3 ? `${Math.floor(bytes / KB ** 2)}M` : `${(bytes / KB ** 3).toFixed(1)}G`;
}

/** Puts what the engine tells before what the agent tells of the same thing. */
export function joined(told: readonly Told[], agents: readonly StatusLine[]): StatusLine[] {
  const ids = [...new Set([...told, ...agents].map(({ id }) => id))];
  return ids.map(id => {
    const engines = told.filter(line => line.id === id);
    const own = agents.find(line => line.id === id);
    if (engines.length === 0 && own) return own;
    const figures = [
      ...engines.map(({ figure }) => figure),
      ...(own && own.level !== "unknown" ? [own.figure] : []),
    ];
    const unknown = engines.some(({ figure }) => figure === null) || own?.level === "unknown";
    const unasked = engines.find(line => line.unasked)?.unasked;
    const next = own?.next ?? undefined;
    return statusLine(id, {
      figure: unknown ? null : figures.filter(Boolean).join(", "),
      ...(unasked === undefined ? {} : { unasked }),
      problems: [...new Set([...engines.flatMap(line => line.problems ?? []), ...(own?.problems ?? [])])],
      notes: [...engines.flatMap(line => line.notes ?? []), ...(own?.notes ?? [])],
      ...(next === undefined ? {} : { next }),
    });
  });
}

/** Where no engine or no stack is found: one line that says so. */
export function stackMissing(error: unknown): StatusLine[] {
  if (!(error instanceof Stop) || error.code !== EXIT.engineOrContainerMissing) throw error;
  return [
    statusLine("stack", { figure: "not found", problems: [`${error.message} ${error.next ?? ""}`.trim()] }),
  ];
}
