import type { Command } from "commander";
import { readSettings } from "../../shared/agent-environment.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { addFlags } from "../../shared/forwarded-flags.ts";
import { printJson } from "../base/print-json.ts";
import { humanSize, type Reporter } from "../base/reporter.ts";
import type { Which } from "../restore/drop-previous.ts";
import type { SetAside } from "../server/set-aside.ts";
import { reporterFor } from "./options.ts";

/** The command for the databases that restores set aside. */
export function addDropPreviousCommand(program: Command): void {
  addFlags(program.command("drop-previous"), "drop-previous")
    .description("list the databases that restores set aside, or delete some of them")
    .argument("[name...]", "which ones; without any, and without --older-than, they are listed")
    .action(async (names: string[], options) => {
      const settings = readSettings(process.env);
      const report = reporterFor(options);
      const { dropPrevious, listPrevious, previousToDrop } = await import("../restore/drop-previous.ts");
      const which = whichOf(names, options.olderThan);
      if (which === null) {
        const found = await listPrevious(settings);
        if (options.json) return printJson(found);
        const { printSetAside } = await import("./print.ts");
        return printSetAside(found, settings.database);
      }
      const chosen = await previousToDrop(settings, which);
      if (chosen.length === 0) return nothingToDrop(options.json, report);
      if (!options.yes) throw confirmationOf(chosen, names, options.olderThan);
      const dropped = await dropPrevious(settings, which, report);
      if (options.json) printJson(dropped);
      report.done(`Deleted: ${namesAndSizes(dropped)}`);
    });
}

function whichOf(names: readonly string[], olderThanDays: number | undefined): Which | null {
  if (names.length > 0 && olderThanDays !== undefined)
    throw new Stop(
      EXIT.usage,
      "Say either which databases, or --older-than.",
      "`npx budgie drop-previous` lists them with their age.",
    );
  if (olderThanDays !== undefined) return { olderThanDays };
  return names.length > 0 ? { names } : null;
}

function nothingToDrop(json: boolean | undefined, report: Reporter): void {
  if (json) printJson([]);
  report.done("None of them is older; nothing was deleted");
}

function confirmationOf(chosen: readonly SetAside[], names: readonly string[], days: number): Stop {
  const asked = names.length > 0 ? chosen.map(({ name }) => name).join(" ") : `--older-than ${days}`;
  return new Stop(
    EXIT.notConfirmed,
    `This deletes for good: ${namesAndSizes(chosen)}. \`npx budgie restore --undo\` cannot bring them back then.`,
    `If that is what you want: npx budgie drop-previous ${asked} --yes`,
  );
}

function namesAndSizes(databases: readonly SetAside[]): string {
  return databases.map(({ name, bytes }) => `${name} (${humanSize(bytes)})`).join(", ");
}
