import { text } from "node:stream/consumers";
import { startReader } from "../base/child-process.ts";
import { majorVersion } from "./connection.ts";

let known: Promise<string | null> | null = null;

/** The major version of the PostgreSQL in the agent's own image, which its throw-away servers are of. Null when it does not say. */
export function ownMajorVersion(): Promise<string | null> {
  known ??= ask();
  return known;
}

async function ask(): Promise<string | null> {
  const { output, finished } = startReader("postgres", ["--version"], "pipe");
  const said = await text(output);
  await finished;
  const [, version] = /\(PostgreSQL\) (\d\S*)/.exec(said) ?? [];
  return version === undefined ? null : majorVersion(version);
}
