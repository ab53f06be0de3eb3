import { setTimeout as delay } from "node:timers/promises";
import { statusText } from "../../shared/status-lines.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { look } from "./look.ts";
import { nagiosText } from "./nagios.ts";

export interface StatusOptions {
  json?: boolean;
  watch?: boolean;
}

const LOOK_AGAIN_MS = 5000;

/** Says whether everything is as it should be. Returns 10 when something is not, or cannot be asked. */
export async function showStatus(find: () => Promise<Stack>, options: StatusOptions): Promise<number> {
  for (;;) {
    const seen = await look(find);
    const text = options.json
      ? `${JSON.stringify(seen.json, null, options.watch ? 0 : 2)}\n`
      : statusText(seen.verdict, seen.lines);
    const clear = options.watch && !options.json && process.stdout.isTTY ? "\x1b[H\x1b[2J" : "";
    process.stdout.write(clear + text);
    if (!options.watch || !process.stdout.writable) return seen.code;
    await delay(LOOK_AGAIN_MS);
  }
}

/** One line for whatever watches this machine. Returns what such programs take: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. */
export async function checkForNagios(find: () => Promise<Stack>): Promise<number> {
  const seen = await look(find).catch((error: Error) => error);
  const { text, code } = nagiosText(seen);
  process.stdout.write(text);
  return code;
}

/** The sentence alone. Returns 10 when something is not as it should be. */
export async function checkStatus(find: () => Promise<Stack>): Promise<number> {
  const seen = await look(find);
  process.stdout.write(`${seen.verdict.sentence}\n`);
  return seen.code;
}
