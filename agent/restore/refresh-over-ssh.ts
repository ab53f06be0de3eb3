import { Readable } from "node:stream";
import type { AgentSettings, SshSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import { overSsh } from "../copies/place.ts";
import { listRemote } from "../copies/remote-catalogue.ts";
import { withSshConnection } from "../ssh/connection.ts";
import { receive } from "../ssh/transfer.ts";
import { ageOf, type ChosenBackup, newestWhole } from "./refresh-choice.ts";

/**
 * Runs `work` with the newest whole backup of another stack that is in a folder over ssh. As in a bucket, nobody says there what a drill has
 * proven. The connection stays until `work` is done. Throws a Stop.
 */
export async function withNewestOverSsh<T>(
  settings: AgentSettings,
  server: SshSettings,
  { fromStack, identities }: { fromStack: string; identities: readonly string[] },
  report: Reporter,
  work: (chosen: ChosenBackup) => Promise<T>,
): Promise<T> {
  return withSshConnection(server, async connection => {
    const copies = overSsh(connection, identities);
    const entries = await listRemote(copies, { ...settings, stack: fromStack });
    const { key, bytes, manifest } = newestWhole(entries, copies, fromStack, new Date());
    report.info(
      `The newest backup of ${fromStack} in ${server.target} is ${manifest.file}, of ${ageOf(manifest)} ago; whether it can be restored shows now`,
    );
    return work({
      source: "-",
      shown: `${server.target}/${key}`,
      reader: null,
      contentSha256: manifest.contentSha256,
      incoming: {
        content: Readable.from(receive(connection, key, bytes), { objectMode: false }),
        identities,
      },
    });
  });
}
