import { mkdir } from "node:fs/promises";
import { terminalReporter } from "./reporter.ts";
import type { AgentSettings } from "./settings.ts";

/** Keeps the agent's container alive for the commands that are run in it, until it is told to stop. */
export async function serve(settings: AgentSettings): Promise<void> {
  const report = terminalReporter(false);
  await mkdir(settings.backupDir, { recursive: true, mode: 0o700 });
  report.info(
    `Backup agent of stack ${settings.stack}: ${settings.database} at ${settings.host}, backups in ${settings.backupDirShown}`,
  );
  const keepAlive = setInterval(() => undefined, 1 << 30);
  await new Promise<void>(resolve => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  clearInterval(keepAlive);
  report.info("Backup agent stopped");
}
