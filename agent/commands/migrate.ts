import { Argument, type Command } from "commander";
import { readSettings } from "../../shared/agent-environment.ts";
import { printJson } from "../base/print-json.ts";
import { terminalReporter } from "../base/reporter.ts";

/** To another PostgreSQL server. */
const STEPS = ["plan", "rehearse", "cut-over"] as const;
/** To another machine's stack, where the agent sees only its own side. */
const STEPS_HERE = ["rehearse-backup", "cut-over-backup", "check"] as const;
type Step = (typeof STEPS)[number] | (typeof STEPS_HERE)[number];

/** The steps of `npx budgie migrate`, which asks between them and holds the API during the last one. */
export function addMigrateCommands(program: Command): void {
  program
    .command("migrate", { hidden: true })
    .description("move the database to another PostgreSQL server, step by step")
    .addArgument(new Argument("<step>", "which one").choices([...STEPS, ...STEPS_HERE]))
    .option("--target <path>", "where `keep-target` put it", "")
    .option("--written <what>", "what a backup's step said of what was written by then", "")
    .action(async (step: Step, { target: path, written }: { target: string; written: string }) => {
      if (step === "rehearse-backup" || step === "cut-over-backup" || step === "check") {
        const { backupForElsewhere, checkUnchanged } = await import("../migrate/to-other-stack.ts");
        const here = readSettings(process.env);
        if (step === "check") return checkUnchanged(here, written);
        return printJson(await backupForElsewhere(here, step === "cut-over-backup", terminalReporter(true)));
      }
      const [{ cutOver, planMove, rehearseMove, sayFinished }, { withTarget }] = await Promise.all([
        import("../migrate/migrate.ts"),
        import("../migrate/target.ts"),
      ]);
      const settings = readSettings(process.env);
      await withTarget(settings, path, async target => {
        if (step === "rehearse") return void (await rehearseMove(settings, target, terminalReporter(false)));
        if (step === "cut-over") return void (await cutOver(settings, target, terminalReporter(false)));
        const report = terminalReporter(true);
        const { finished } = await planMove(settings, target, report);
        if (finished) sayFinished(finished, report);
        printJson({ finished: finished !== null });
      });
    });

  program
    .command("keep-target", { hidden: true })
    .description(
      "keep another server's address and password from standard input, in memory, for the next command's --target",
    )
    .action(async () => {
      const { keepTarget } = await import("../migrate/target.ts");
      process.stdout.write(`${await keepTarget(process.stdin)}\n`);
    });
}
