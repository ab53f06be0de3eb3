import { text } from "node:stream/consumers";
import { Command, Option } from "commander";
import { readSettings } from "../shared/agent-environment.ts";
import type { AgentSettings } from "../shared/agent-settings.ts";
import type { CopiesFrom } from "../shared/copies-places.ts";
import { EXIT, Stop } from "../shared/exit-codes.ts";
import { addFlags } from "../shared/forwarded-flags.ts";
import { runCommandLine } from "../shared/run-command-line.ts";
import { statusText } from "../shared/status-lines.ts";
import { heedSignals } from "./base/interruption.ts";
import { printJson } from "./base/print-json.ts";
import { type Reporter, terminalReporter } from "./base/reporter.ts";
import { addDropPreviousCommand } from "./commands/drop-previous.ts";
import { addMigrateCommands } from "./commands/migrate.ts";
import { addOffsiteCommands } from "./commands/offsite.ts";
import { mayRead, type ReaderOptions, reporterFor } from "./commands/options.ts";
import { addRefreshCommand } from "./commands/refresh.ts";
import { addRetentionCommands } from "./commands/retention.ts";
import { withCopies } from "./commands/with-copies.ts";
import type { CopiesPlace } from "./copies/place.ts";
import type { Verified } from "./drill/verified.ts";
import { manifestOf, REASONS } from "./manifest/manifest.ts";

// Each command loads what it needs, and no more: the S3 client alone takes longer to load than a small backup.

/** Set by commands that end without an error and yet with something to tell. */
let outcome: number = EXIT.done;

const program = new Command("budgie-agent")
  .description("Budgie's backup agent")
  .exitOverride()
  .showHelpAfterError("(--help shows what you can type)");

program.hook("preAction", (_program, command) => {
  if (command.name() !== "serve") heedSignals();
});

program
  .command("serve")
  .description("run until told to stop")
  .action(async () => {
    const { serve } = await import("./serve.ts");
    await serve(readSettings(process.env));
  });

program
  .command("interrupt", { hidden: true })
  .description("tell a command that was started with this mark to end")
  .argument("<operation>", "its mark")
  .action(async (operation: string) => {
    const { interrupt } = await import("./commands/interrupt.ts");
    if (!(await interrupt(operation))) outcome = EXIT.failed;
  });

addFlags(program.command("backup"), "backup")
  .description("take a backup now")
  .addOption(new Option("--reason <reason>", "why it is taken").choices(REASONS).default("manual"))
  .action(async options => {
    const { backup } = await import("./backup/backup.ts");
    const settings = readSettings(process.env);
    const report = reporterFor(options);
    const { format = settings.format, reason, rolePasswords } = options;
    const { file } = await backup(settings, { reason, format, rolePasswords }, report);
    if (options.pin) {
      const { pin } = await import("./retention/pin.ts");
      await pin(settings, file, null);
      report.done(`${file} stays until you unpin it. To go back to it: npx budgie restore ${file}`);
    }
    try {
      const { sendTaken } = await import("./copies/send.ts");
      await sendTaken(settings, file, report);
    } finally {
      if (options.json) printJson(await manifestOf(settings, file));
    }
  });

mayRead(addFlags(program.command("list"), "list"))
  .description("show the backups, newest first")
  .action(async options => {
    const settings = readSettings(process.env);
    const { printList, printRemoteList } = await import("./commands/print.ts");
    const from = whichCopies(options);
    if (from) {
      const { listRemote } = await import("./copies/remote-catalogue.ts");
      return withCopies(settings, from, options, async copies => {
        const entries = await listRemote(copies, settings);
        if (options.json) printJson(entries);
        else printRemoteList(entries, copies.shown);
      });
    }
    const { listBackups } = await import("./catalogue/catalogue.ts");
    const entries = await listBackups(settings);
    if (options.json) printJson(entries.map(({ manifest, ...entry }) => ({ ...entry, manifest })));
    else printList(entries, settings.backupDirShown);
  });

mayRead(addFlags(program.command("verify"), "verify"))
  .description("read every byte of a backup and compare it with its manifest")
  .argument(
    "[backup]",
    "a backup's name, `latest`, or `all`; the newest, in the bucket with two others, when not said",
  )
  .action(async (which: string | undefined, options) => {
    const settings = readSettings(process.env);
    const report = reporterFor(options);
    const from = whichCopies(options);
    const results = from
      ? await verifyCopies(settings, from, which ?? "sample", options, report)
      : await verifyHere(settings, which ?? "latest", report);
    if (options.json) printJson(results);
    if (results.length === 0)
      throw new Stop(EXIT.unusableBackup, "There is no backup to verify.", "Take one: npx budgie backup");
    if (results.some(({ good }) => !good)) outcome = EXIT.unusableBackup;
  });

mayRead(addFlags(program.command("drill"), "drill"))
  .description("prove a backup: restore it into a throw-away server, dump it again, compare")
  .argument("[backup]", "a backup's name, `latest`, or a path", "latest")
  .action(async (which: string, options) => {
    const settings = readSettings(process.env);
    if (options.at && which !== "latest")
      throw new Stop(
        EXIT.usage,
        `--at proves a moment, and ${which} is a backup.`,
        "Say one of them: npx budgie drill BACKUP, or npx budgie drill --at MOMENT",
      );
    if (options.at) {
      const { drillAt } = await import("./drill/drill-at.ts");
      const drilled = await drillAt(settings, options.at === true ? null : options.at, reporterFor(options));
      if (options.json) printJson(drilled);
      if (drilled.outcome !== "good") outcome = EXIT.unusableBackup;
      return;
    }
    const { drill } = await import("./drill/drill.ts");
    const run = (copies: CopiesPlace | null) => drill(settings, { which, copies }, reporterFor(options));
    const drilled = options.from ? await withCopies(settings, options.from, options, run) : await run(null);
    if (options.json) printJson(drilled);
    if (drilled.outcome !== "good") outcome = EXIT.unusableBackup;
  });

program
  .command("open", { hidden: true })
  .description("keep a backup, or a moment, open in a throw-away server, until standard input ends")
  .argument("<backup>", "a backup's name, `latest`, or a moment")
  .action(async (which: string) => {
    const { meansMoment } = await import("./point-in-time/moment.ts");
    const open = meansMoment(which)
      ? (await import("./drill/open-moment.ts")).openMoment
      : (await import("./drill/open-backup.ts")).openBackup;
    const opened = (where: object) => void process.stdout.write(`${JSON.stringify(where)}\n`);
    await open(readSettings(process.env), which, process.stdin, terminalReporter(true), opened);
  });

mayRead(addFlags(program.command("restore"), "restore"))
  .description("load a backup beside the database, compare, and swap it in")
  .argument("[backup]", "a backup's name, `latest`, a path, `-` for standard input, or s3://BUCKET/KEY")
  .option("--shown <path>", "what standard input is called: the path that was typed")
  .action(async (source: string | undefined, options) => {
    const settings = readSettings(process.env);
    const report = reporterFor(options);
    if ([source, options.undo, options.at].filter(Boolean).length !== 1) {
      throw new Stop(
        EXIT.usage,
        "Say either which backup to restore, or --at a moment, or --undo.",
        "For instance: npx budgie restore latest",
      );
    }
    const { restoreAsAsked } = await import("./commands/restore.ts");
    const { undoRestore } = await import("./restore/undo.ts");
    const restored = options.undo
      ? await undoRestore(settings, report)
      : await restoreAsAsked(settings, source, options, report);
    if (options.json) printJson(restored);
  });

addRefreshCommand(program);

program
  .command("keep-mask", { hidden: true })
  .description("keep a mask from standard input, in memory, for the next command's --kept-mask")
  .action(async () => {
    const { keepMask } = await import("./restore/mask.ts");
    process.stdout.write(`${await keepMask(process.stdin)}\n`);
  });

addMigrateCommands(program);
addDropPreviousCommand(program);

mayRead(addFlags(program.command("choose", { hidden: true }), "choose"))
  .description("say what a restore of `latest` would take, and what must be decided first")
  .action(async options => {
    const settings = readSettings(process.env);
    const { chooseHere, chooseAmongCopies, showChoice } = await import("./restore/settled-latest.ts");
    const { fromStack = null } = options;
    if (!options.from) return printJson(showChoice(await chooseHere(settings, fromStack)));
    const { listRemote } = await import("./copies/remote-catalogue.ts");
    await withCopies(settings, options.from, options, async copies => {
      const entries = await listRemote(copies, settings);
      printJson(showChoice(chooseAmongCopies(settings, copies, entries, fromStack)));
    });
  });

addFlags(program.command("status"), "status")
  .description("say whether everything is as it should be; exit code 10 when not")
  .action(async options => {
    const { readStatus } = await import("./status/status.ts");
    const status = await readStatus(readSettings(process.env));
    if (options.json) printJson(status);
    else process.stdout.write(statusText(status.verdict, status.lines));
    if (!status.fine) outcome = EXIT.notFine;
  });

addFlags(program.command("evidence"), "evidence")
  .description("write one page that shows somebody else that backups work")
  .action(async options => {
    const settings = readSettings(process.env);
    const { readStatus } = await import("./status/status.ts");
    const { shownBackups } = await import("./show/shown-backups.ts");
    const { evidenceOf, evidenceText } = await import("./show/evidence.ts");
    const evidence = evidenceOf(settings, await readStatus(settings), await shownBackups(settings));
    if (options.json) printJson(evidence);
    else process.stdout.write(evidenceText(evidence));
    if (evidence.problems.length > 0) outcome = EXIT.notFine;
  });

addFlags(program.command("alert"), "alert")
  .description("tell everybody who would be told when something is wrong")
  .action(async () => {
    const { testAlerts } = await import("./alert/test-alerts.ts");
    await testAlerts(readSettings(process.env), terminalReporter(false));
  });

program
  .command("check-identity")
  .description(
    "fail when the database is not the one that the backups came from, or they have no usable place",
  )
  .action(async () => {
    const settings = readSettings(process.env);
    const { requireUsableDirectory } = await import("./catalogue/usable-directory.ts");
    await requireUsableDirectory(settings);
    const { checkIdentity } = await import("./catalogue/identity.ts");
    await checkIdentity(settings);
    terminalReporter(false).done(`${settings.database} is the database of stack ${settings.stack}`);
  });

program
  .command("prove-first-backup")
  .description("take a backup and prove it, unless one of this database is proven already; for `pulumi up`")
  .action(async () => {
    const { describeFirstBackup, proveFirstBackup } = await import("./schedule/first-backup.ts");
    const found = await proveFirstBackup(readSettings(process.env), terminalReporter(true));
    process.stdout.write(`${describeFirstBackup(found)}\n`);
  });

program
  .command("accept-database")
  .description("from now on the database that is there is the right one")
  .action(async () => {
    const settings = readSettings(process.env);
    const { acceptDatabase } = await import("./catalogue/identity.ts");
    const { systemIdentifier, tables } = await acceptDatabase(settings);
    terminalReporter(false).done(
      `${settings.database} (${systemIdentifier}, ${tables} tables) is the database of stack ${settings.stack} from now on`,
    );
  });

program
  .command("note-backend", { hidden: true })
  .description("keep for later manifests which backend serves now")
  .argument("<name>", "its image")
  .argument("<digest>", "what tells the image's content")
  .action(async (name: string, digest: string) => {
    const { noteRunningBackend } = await import("./catalogue/running-backend.ts");
    await noteRunningBackend(readSettings(process.env), { name, digest });
  });

program
  .command("keep-state", { hidden: true })
  .description("keep the state of the stack, from standard input, beside the backups")
  .action(async () => {
    const { keepState } = await import("./state/keep.ts");
    const kept = await keepState(readSettings(process.env), await text(process.stdin), new Date());
    if (kept !== null) process.stdout.write(`${kept}\n`);
  });

program
  .command("own-access", { hidden: true })
  .description("print what psql is fed on a new server so that the stack's containers are let in")
  .action(async () => {
    const { ownAccess } = await import("./server/own-access.ts");
    process.stdout.write(await ownAccess(readSettings(process.env)));
  });

addFlags(program.command("reindex"), "reindex")
  .description("build every index of the database anew")
  .action(async options => {
    const { reindex } = await import("./commands/reindex.ts");
    const report = reporterFor(options);
    const tables = await reindex(readSettings(process.env), report);
    report.done(`The indexes of ${tables} tables are built anew`);
  });

program
  .command("accept-unproven")
  .description("go on without a proven backup, for the reason that the newest drill has found")
  .action(async () => {
    const settings = readSettings(process.env);
    const { acceptUnproven } = await import("./catalogue/accepted-unproven.ts");
    const { repairLines } = await import("./catalogue/unloadable-now.ts");
    const report = terminalReporter(false);
    const found = await acceptUnproven(settings);
    report.warn(`No backup of stack ${settings.stack} is proven. ${found.name}: ${found.why}`);
    for (const line of repairLines(found)) report.info(line);
    report.done(
      "Accepted for this reason alone, until a drill succeeds; npx budgie status goes on naming it",
    );
  });

program
  .command("accept-missing-backups")
  .description("from now on nobody misses the backups that are gone")
  .action(async () => {
    const { acceptMissing } = await import("./status/missing.ts");
    const report = terminalReporter(false);
    const accepted = await acceptMissing(readSettings(process.env));
    for (const { name } of accepted) report.info(`${name} is not missed any more`);
    report.done(
      accepted.length === 0 ? "No backup is missing" : `${accepted.length} backups are accepted as lost`,
    );
  });

/** Null for the backup directory. */
function whichCopies({ from, remote }: { from?: CopiesFrom; remote?: boolean }): CopiesFrom | null {
  return from ?? (remote ? "s3" : null);
}

async function verifyHere(settings: AgentSettings, which: string, report: Reporter): Promise<Verified[]> {
  const { verify } = await import("./drill/verify.ts");
  return verify(settings, which, report);
}

async function verifyCopies(
  settings: AgentSettings,
  from: CopiesFrom,
  which: string,
  options: ReaderOptions,
  report: Reporter,
): Promise<Verified[]> {
  const { verifyRemote } = await import("./drill/verify-remote.ts");
  return withCopies(settings, from, options, copies => verifyRemote(settings, copies, which, report));
}

addOffsiteCommands(program);
addRetentionCommands(program);

void runCommandLine(async () => {
  await program.parseAsync();
  return outcome;
});
