import { createHash } from "node:crypto";
import type { ClientChannel } from "ssh2";
import type { SshConnection } from "./ssh-connection.ts";
import { remotePath, sizeOf } from "./ssh-folder.ts";
import { receive } from "./ssh-transfer.ts";

/** What a file must be: its size and the sha256 of its bytes. */
export interface Expected {
  bytes: number;
  sha256: string;
}

/** How long a server may be silent while its disk works through a file: no slower than 5 MB/s, and a minute besides. */
export function diskWorkMs(bytes: number): number {
  return 60_000 + bytes / 5_000;
}

/**
 * Whether the server's file holds exactly the expected bytes. Where the account has a shell, the server reads them; where it
 * has none, and before anything is called different, they are read back: a shell may see other folders than SFTP does.
 */
export async function holds(connection: SshConnection, name: string, expected: Expected): Promise<boolean> {
  if ((await sizeOf(connection, name)) !== expected.bytes) return false;
  if ((await hashByShell(connection, name, expected.bytes)) === expected.sha256) return true;
  return (await hashByReading(connection, name, expected.bytes)) === expected.sha256;
}

/** null where the account has no shell, or no sha256sum in it. */
async function hashByShell(connection: SshConnection, name: string, bytes: number): Promise<string | null> {
  const { ask, client } = connection;
  const path = remotePath(connection, name).replaceAll("'", `'\\''`);
  try {
    const channel = await ask<ClientChannel>(answer => client.exec(`sha256sum < '${path}'`, answer));
    // An account that may only speak SFTP gets that instead of the command, and waits for requests.
    channel.end();
    channel.stderr.resume();
    const said = await ask<string>(answer => {
      firstOf(channel).then(line => answer(null, line), answer);
    }, diskWorkMs(bytes));
    return /^([0-9a-f]{64})\s/.exec(said)?.[1] ?? null;
  } catch {
    // Without a connection, reading fails next, and says so.
    return null;
  }
}

/** All that a program prints, when it is no more than a line. */
async function firstOf(channel: ClientChannel): Promise<string> {
  let said = "";
  for await (const chunk of channel) {
    said += chunk;
    if (said.length > 1000) break;
  }
  return said;
}

async function hashByReading(connection: SshConnection, name: string, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of receive(connection, name, bytes)) hash.update(chunk);
  return hash.digest("hex");
}
