import { randomBytes } from "node:crypto";
import { text } from "node:stream/consumers";
import { type RunAs, startFilter } from "../base/child-process.ts";

/** The line that shuts off psql's own commands, for a token that nobody else knows. Null for a psql that is too old to know it. */
export async function restriction(client: RunAs): Promise<Buffer | null> {
  return (await knowsRestriction(client))
    ? Buffer.from(`\\restrict ${randomBytes(24).toString("hex")}\n`)
    : null;
}

let known: Promise<boolean> | null = null;

/** Since 16.10, and the releases of that day for the other major versions, which all have it. */
function knowsRestriction(client: RunAs): Promise<boolean> {
  known ??= askVersion(client).then(version => {
    const [major = 0, minor = 0] = version;
    const since: Readonly<Record<number, number>> = { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 };
    return major > 17 || minor >= (since[major] ?? Number.POSITIVE_INFINITY);
  });
  return known;
}

async function askVersion(client: RunAs): Promise<number[]> {
  const { input, output, finished } = startFilter("psql", ["--version"], undefined, client);
  input.end();
  const said = await text(output);
  await finished;
  const [, major, minor] = /\) (\d+)\.(\d+)/.exec(said) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0)];
}
