import { Command, Option } from "commander";
import { backup } from "./backup.ts";
import { type CatalogueEntry, listBackups } from "./catalogue.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { acceptDatabase, checkIdentity } from "./identity.ts";
import { REASONS } from "./manifest.ts";
import { humanSize, type Reporter, terminalReporter } from "./reporter.ts";
import { restore, undoRestore } from "./restore.ts";
import { runCommandLine } from "./run-command-line.ts";
import { serve } from "./serve.ts";
import { readSettings } from "./settings.ts";
import { readStatus, type Status } from "./status.ts";
import { verify } from "./verify.ts";

const json = new Option(
  "--json",
  "print one JSON value on standard output, and everything else on standard error",
);

/** Set by commands that end without an error and yet with something to tell. */
let outcome: number = EXIT.done;

const program = new Command("budgie-agent")
  .description("Budgie's backup agent")
  .exitOverride()
  .showHelpAfterError("(--help shows what can be said)");

program
  .command("serve")
  .description("run until told to stop")
  .action(() => serve(readSettings(process.env)));

program
  .command("backup")
  .description("take a backup now")
  .addOption(new Option("--reason <reason>", "why it is taken").choices(REASONS).default("manual"))
  .addOption(new Option("--format <format>", "plain or compressed").choices(["sql", "sql.gz"]))
  .addOption(json)
  .action(async options => {
    const settings = readSettings(process.env);
    const manifest = await backup(
      settings,
      { reason: options.reason, format: options.format ?? settings.format },
      terminalReporter(Boolean(options.json)),
    );
    if (options.json) printJson(manifest);
  });

program
  .command("list")
  .description("show the backups, newest first")
  .addOption(json)
  .action(async options => {
    const settings = readSettings(process.env);
    const entries = await listBackups(settings);
    if (options.json) printJson(entries.map(({ manifest, ...entry }) => ({ ...entry, manifest })));
    else printList(entries, settings.backupDirShown);
  });

program
  .command("verify")
  .description("read every byte of a backup and compare it with its manifest")
  .argument("[backup]", "a backup's name, `latest`, or `all`", "latest")
  .addOption(json)
  .action(async (which: string, options) => {
    const results = await verify(readSettings(process.env), which, terminalReporter(Boolean(options.json)));
    if (options.json) printJson(results);
    if (results.length === 0)
      throw new Stop(EXIT.unusableBackup, "There is no backup to verify.", "Take one: npx budgie backup");
    if (results.some(({ good }) => !good)) outcome = EXIT.unusableBackup;
  });

program
  .command("restore")
  .description("load a backup beside the database, compare, and swap it in")
  .argument("[backup]", "a backup's name, `latest`, a path, or `-` for standard input")
  .option("--from-stack <stack>", "allow a backup of this other stack")
  .option("--undo", "swap back the database that the last restore set aside")
  .addOption(json)
  .action(async (source: string | undefined, options) => {
    const settings = readSettings(process.env);
    const report = terminalReporter(Boolean(options.json));
    if (Boolean(options.undo) === (source !== undefined)) {
      throw new Stop(
        EXIT.usage,
        "Say either which backup to restore, or --undo.",
        "For instance: npx budgie restore latest",
      );
    }
    const restored = options.undo
      ? await undoRestore(settings, report)
      : await restore(
          settings,
          { source: source as string, fromStack: options.fromStack ?? null, stdin: process.stdin },
          report,
        );
    if (options.json) printJson(restored);
  });

program
  .command("status")
  .description("say whether everything is as it should be; exit code 10 when not")
  .addOption(json)
  .action(async options => {
    const status = await readStatus(readSettings(process.env));
    if (options.json) printJson(status);
    else printStatus(status, terminalReporter(false));
    if (!status.fine) outcome = EXIT.notFine;
  });

program
  .command("check-identity")
  .description("fail when the database is not the one that the backups came from")
  .action(async () => {
    const settings = readSettings(process.env);
    await checkIdentity(settings);
    terminalReporter(false).done(`${settings.database} is the database of stack ${settings.stack}`);
  });

program
  .command("accept-database")
  .description("from now on the database that is there is the right one")
  .action(async () => {
    const settings = readSettings(process.env);
    const { systemIdentifier, tables } = await acceptDatabase(settings);
    terminalReporter(false).done(
      `${settings.database} (${systemIdentifier}, ${tables} tables) is the database of stack ${settings.stack} from now on`,
    );
  });

function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

function printList(entries: CatalogueEntry[], directory: string): void {
  if (entries.length === 0)
    return void process.stdout.write(`No backups in ${directory}. Take one: npx budgie backup\n`);
  const rows = entries.map(({ name, bytes, manifest, flaw }) => {
    const tables = manifest ? `${manifest.tables.length} tables` : "";
    return [name, humanSize(bytes), manifest?.reason ?? "", tables, flaw ? `does not count: ${flaw}` : ""];
  });
  const widths = [0, 1, 2, 3].map(column => Math.max(...rows.map(row => (row[column] ?? "").length)));
  for (const row of rows) {
    const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0));
    process.stdout.write(`${cells.join("  ").trimEnd()}\n`);
  }
}

function printStatus(status: Status, report: Reporter): void {
  const { database, backups } = status;
  if (database)
    report.info(`Database ${database.name}: ${database.tables} tables, ${humanSize(database.bytes)}`);
  for (const name of status.previousDatabases) report.info(`Kept from before a restore: ${name}`);
  const newest = backups.newest
    ? `, the newest of ${backups.newest.finishedAt.slice(0, 16).replace("T", " ")} UTC`
    : "";
  report.info(
    `Backups in ${backups.directory}: ${backups.count}${newest}, ${humanSize(backups.freeBytes)} free`,
  );
  for (const problem of status.problems) report.warn(problem);
  if (status.fine) report.done("Everything is as it should be");
}

void runCommandLine(async () => {
  await program.parseAsync();
  return outcome;
});
