import type { AgentSettings } from "../../shared/agent-settings.ts";
import { describeLack, probeDirectory } from "../../shared/directory-probe.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";

/** Throws a Stop, with what to type, when the backup directory cannot do what a backup needs. */
export async function requireUsableDirectory({
  backupDir,
  backupDirShown,
  format,
}: Pick<AgentSettings, "backupDir" | "backupDirShown" | "format">): Promise<void> {
  const lack = await probeDirectory(backupDir, format);
  if (lack === null) return;
  const { says, next } = describeLack(backupDirShown, lack);
  throw new Stop(lack.full ? EXIT.noSpace : EXIT.failed, says, next.join("\n    "));
}
