import { readFile } from "node:fs/promises";

/** Where the agent writes down how it found everything, and the container's healthcheck (budgie-healthy) reads it. It goes with the container. */
export const LOOK_FILE = "/run/budgie-health";
/** An agent that hangs must not stay healthy. */
export const GOOD_FOR_SECONDS = 240;

/** When the agent's own process last looked at everything. */
export interface LastLook {
  at: string;
  /** Until when it counts. */
  until: string;
}

/** null: it has not looked yet since the container was started. */
export async function readLastLook(): Promise<LastLook | null> {
  const text = await readFile(LOOK_FILE, "utf8").catch(() => "");
  const until = Number.parseInt(text, 10);
  if (!(until > 0)) return null;
  const at = new Date((until - GOOD_FOR_SECONDS) * 1000);
  return { at: at.toISOString(), until: new Date(until * 1000).toISOString() };
}

/** Whoever takes the backups is the process that looks: commands run beside it. */
export function judgeLastLook(look: LastLook | null, now: Date): string[] {
  if (look === null || Date.parse(look.until) >= now.getTime()) return [];
  return [
    "The backup agent has not looked at itself for minutes: it hangs, and takes no backups. Start it again: npx budgie restart backup",
  ];
}
