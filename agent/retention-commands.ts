import type { Command, Option } from "commander";
import { printJson } from "./print-json.ts";
import { terminalReporter } from "./reporter.ts";
import { readSettings } from "./settings.ts";

/** The commands that say which backups stay, and act on it. */
export function addRetentionCommands(program: Command, json: Option): void {
  program
    .command("prune")
    .description("delete the backups that no rule keeps")
    .option("--dry-run", "only say of every backup whether it stays, and why")
    .addOption(json)
    .action(async options => {
      const settings = readSettings(process.env);
      const report = terminalReporter(Boolean(options.json));
      const { judgeAll, prune } = await import("./prune.ts");
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

  program
    .command("pin")
    .description("have retention leave a backup alone")
    .argument("<backup>", "a backup's name")
    .option("--until <day>", "the last day of it, in UTC, e.g. 2027-03-31; until unpin when not said")
    .addOption(json)
    .action(async (backup: string, options) => {
      const settings = readSettings(process.env);
      const { endOfDay, pin } = await import("./pin.ts");
      const until = options.until === undefined ? null : endOfDay(options.until);
      const pinned = await pin(settings, backup, until);
      if (options.json) printJson(pinned);
      terminalReporter(Boolean(options.json)).done(
        `${backup} stays ${options.until ? `until the end of ${options.until}, UTC` : "until you unpin it"}`,
      );
    });

  program
    .command("unpin")
    .description("let retention remove a pinned backup again")
    .argument("<backup>", "a backup's name")
    .addOption(json)
    .action(async (backup: string, options) => {
      const { unpin } = await import("./pin.ts");
      const wasPinned = await unpin(readSettings(process.env), backup);
      if (options.json) printJson({ wasPinned });
      const say = wasPinned ? "is no longer pinned: the next prune may remove it" : "was not pinned";
      terminalReporter(Boolean(options.json)).done(`${backup} ${say}`);
    });
}
