import type { ClientChannel } from "ssh2";
import { shellWord } from "../../shared/shell-word.ts";
import { sha256OfAll } from "../base/hashing.ts";
import type { SshConnection } from "./connection.ts";
import { remotePath, sizeOf } from "./folder.ts";
import { receive } from "./transfer.ts";

/** What a file must be: its size and the sha256 of its bytes. */
export interface Expected {
  bytes: number;
  sha256: string;
}

/** How long a server may be silent while its disk works through a file: at 5 MB/s or faster, and a minute more. */
export function diskWorkMs(bytes: number): number {
  return 60_000 + bytes / 5_000;
}

/**
 * Whether the server's file holds exactly the expected bytes. Where the account has a shell, the server itself reads them. Where it
 * has none, and before a file is called different, they are read back: a shell may see other folders than SFTP does.
 */
export async function holds(connection: SshConnection, name: string, expected: Expected): Promise<boolean> {
  if ((await sizeOf(connection, name)) !== expected.bytes) return false;
  if ((await hashByShell(connection, name, expected.bytes)) === expected.sha256) return true;
  return (await sha256OfAll(receive(connection, name, expected.bytes))) === expected.sha256;
}

/** Null where the account has no shell, or the shell has no sha256sum. */
async function hashByShell(connection: SshConnection, name: string, bytes: number): Promise<string | null> {
  const { ask, client } = connection;
  const path = shellWord(remotePath(connection, name));
  try {
    const channel = await ask<ClientChannel>(answer => client.exec(`sha256sum < ${path}`, answer));
    // An account that may only use SFTP starts that instead of the command, and waits for requests.
    channel.end();
    channel.stderr.resume();
    const said = await ask<string>(answer => {
      firstOf(channel).then(line => answer(null, line), answer);
    }, diskWorkMs(bytes));
    return /^([0-9a-f]{64})\s/.exec(said)?.[1] ?? null;
  } catch {
    // If the connection is gone, the reading that follows fails and says so.
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
