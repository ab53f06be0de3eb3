import type { Command } from "commander";
import { readSettings } from "../../shared/agent-environment.ts";
import { addFlags } from "../../shared/forwarded-flags.ts";
import { printJson } from "../base/print-json.ts";
import { reporterFor } from "./options.ts";

/** The commands that say which backups stay, and act on it. */
export function addRetentionCommands(program: Command): void {
  addFlags(program.command("prune"), "prune")
    .description("delete the backups that no rule keeps")
    .action(async options => {
      const settings = readSettings(process.env);
      const report = reporterFor(options);
      const { judgeAll, prune } = await import("../retention/prune.ts");
      const verdicts = options.dryRun ? await judgeAll(settings) : await prune(settings, report);
      const gone = verdicts.filter(({ keep }) => !keep).length;
      if (options.json) return printJson(verdicts);
      if (options.dryRun) {
        const { printVerdicts } = await import("./print.ts");
        printVerdicts(verdicts);
      }
      report.done(
        `${verdicts.length - gone} backups stay, ${gone} ${options.dryRun ? "would go" : "removed"}`,
      );
    });

  addFlags(program.command("pin"), "pin")
    .description("have retention leave a backup alone")
    .argument("<backup>", "a backup's name")
    .action(async (backup: string, options) => {
      const settings = readSettings(process.env);
      const { endOfDay, pin } = await import("../retention/pin.ts");
      const until = options.until === undefined ? null : endOfDay(options.until);
      const pinned = await pin(settings, backup, until);
      if (options.json) printJson(pinned);
      reporterFor(options).done(
        `${backup} stays ${options.until ? `until the end of ${options.until}, UTC` : "until you unpin it"}`,
      );
    });

  addFlags(program.command("unpin"), "unpin")
    .description("let retention remove a pinned backup again")
    .argument("<backup>", "a backup's name")
    .action(async (backup: string, options) => {
      const { unpin } = await import("../retention/pin.ts");
      const wasPinned = await unpin(readSettings(process.env), backup);
      if (options.json) printJson({ wasPinned });
      const say = wasPinned ? "is no longer pinned: the next prune may remove it" : "was not pinned";
      reporterFor(options).done(`${backup} ${say}`);
    });
}
