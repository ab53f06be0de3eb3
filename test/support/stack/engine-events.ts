import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { CommandResult, TestStack } from "./stack.ts";

export const GATE = "backup-gates-before-change";
export const DATABASE = "database-container";

/** One moment of one resource in an update, as Pulumi's engine recorded it. */
export interface EngineEvent {
  when: "begins" | "is done" | "failed";
  /** create, update, delete, delete-replaced, … */
  op: string;
  /** The last part of the resource's URN, e.g. database-container. */
  resource: string;
}

interface LoggedEvent {
  resourcePreEvent?: { metadata: Metadata };
  resOutputsEvent?: { metadata: Metadata };
  resOpFailedEvent?: { metadata: Metadata };
}

interface Metadata {
  op: string;
  urn: string;
}

/** Runs `pulumi ARGS` and returns what its engine did, in the order of the engine's event log. */
export async function withEvents(
  stack: TestStack,
  ...args: string[]
): Promise<CommandResult & { events: EngineEvent[] }> {
  const folder = await mkdtemp(join(tmpdir(), "budgie-test-events-"));
  const log = join(folder, "events.json");
  const result = await stack.pulumi(...args, "--event-log", log);
  const lines = (await readFile(log, "utf8")).split("\n").filter(Boolean);
  await rm(folder, { recursive: true });
  return { ...result, events: lines.flatMap(line => toEvents(JSON.parse(line) as LoggedEvent)) };
}

function toEvents({ resourcePreEvent, resOutputsEvent, resOpFailedEvent }: LoggedEvent): EngineEvent[] {
  const event = (when: EngineEvent["when"], logged: { metadata: Metadata } | undefined) =>
    logged ? [{ when, op: logged.metadata.op, resource: logged.metadata.urn.split("::").at(-1) ?? "" }] : [];
  return [
    ...event("begins", resourcePreEvent),
    ...event("is done", resOutputsEvent),
    ...event("failed", resOpFailedEvent),
  ];
}

/** Only the steps that change something. */
export function changes(events: readonly EngineEvent[]): EngineEvent[] {
  return events.filter(({ op }) => op !== "same" && op !== "read" && op !== "refresh");
}

/** What was done to one resource, e.g. `delete is done`, in order. */
export function stepsOf(events: readonly EngineEvent[], resource: string): string[] {
  return changes(events)
    .filter(event => event.resource === resource)
    .map(({ op, when }) => `${op} ${when}`);
}

/** An event's position in the log. Throws, with the events there are, when it is missing. */
export function positionOf(events: readonly EngineEvent[], wanted: EngineEvent): number {
  const position = events.findIndex(
    ({ when, op, resource }) => when === wanted.when && op === wanted.op && resource === wanted.resource,
  );
  if (position >= 0) return position;
  const all = changes(events).map(({ when, op, resource }) => `  ${op} of ${resource} ${when}`);
  throw new Error(
    `No "${wanted.op} of ${wanted.resource} ${wanted.when}" in the event log:\n${all.join("\n")}`,
  );
}

/** Every update that removes the database's container must obey this: the gate's backup is complete first. */
export function expectBackupBeforeDatabase(
  events: readonly EngineEvent[],
  op: "delete" | "delete-replaced",
): void {
  const backup = positionOf(events, { op, resource: GATE, when: "is done" });
  expect(backup).toBeLessThan(positionOf(events, { op, resource: DATABASE, when: "begins" }));
}
