import { Command, Option } from "commander";
import { BACKUP_FORMATS } from "./backup-format.ts";
import { EXIT, Stop } from "./exit-codes.ts";
import { manifestOf, REASONS } from "./manifest.ts";
import { addOffsiteCommands, identityOption, type ReaderOptions, readerFor } from "./offsite-commands.ts";
import { printJson } from "./print-json.ts";
import { type Reporter, terminalReporter } from "./reporter.ts";
import type { Restored } from "./restore.ts";
import { addRetentionCommands } from "./retention-commands.ts";
import { runCommandLine } from "./run-command-line.ts";
import { type AgentSettings, readSettings } from "./settings.ts";
import type { Verified } from "./verify.ts";

// Each command loads what it needs, and no more: the S3 client alone takes longer to load than a small backup.

const json = new Option(
  "--json",
  "print one JSON value on standard output, and everything else on standard error",
);
const reader = () => new Option("--reader <path>", "where `keep-reader` put credentials that may read");

/** Set by commands that end without an error and yet with something to tell. */
let outcome: number = EXIT.done;

const program = new Command("budgie-agent")
  .description("Budgie's backup agent")
  .exitOverride()
  .showHelpAfterError("(--help shows what can be said)");

program
  .command("serve")
  .description("run until told to stop")
  .action(async () => {
    const { serve } = await import("./serve.ts");
    await serve(readSettings(process.env));
  });

program
  .command("backup")
  .description("take a backup now")
  .addOption(new Option("--reason <reason>", "why it is taken").choices(REASONS).default("manual"))
  .addOption(new Option("--format <format>", "how it is written").choices(BACKUP_FORMATS))
  .option("--role-passwords", "with the roles' passwords, hashed, in the file beside it")
  .addOption(json)
  .action(async options => {
    const { backup } = await import("./backup.ts");
    const settings = readSettings(process.env);
    const report = terminalReporter(Boolean(options.json));
    const { format = settings.format, reason, rolePasswords } = options;
    const { file } = await backup(settings, { reason, format, rolePasswords }, report);
    try {
      const { sendTaken } = await import("./copies.ts");
      await sendTaken(settings, file, report);
    } finally {
      if (options.json) printJson(await manifestOf(settings, file));
    }
  });

program
  .command("list")
  .description("show the backups, newest first")
  .option("--remote", "the ones in the bucket")
  .addOption(reader())
  .addOption(identityOption())
  .addOption(json)
  .action(async options => {
    const settings = readSettings(process.env);
    const { printList, printRemoteList } = await import("./print.ts");
    if (options.remote) {
      const { listRemote } = await import("./remote-catalogue.ts");
      const store = await readerFor(settings, options);
      const entries = await listRemote(store, settings.stack);
      return options.json ? printJson(entries) : printRemoteList(entries, store.shown);
    }
    const { listBackups } = await import("./catalogue.ts");
    const entries = await listBackups(settings);
    if (options.json) printJson(entries.map(({ manifest, ...entry }) => ({ ...entry, manifest })));
    else printList(entries, settings.backupDirShown);
  });

program
  .command("verify")
  .description("read every byte of a backup and compare it with its manifest")
  .argument(
    "[backup]",
    "a backup's name, `latest`, or `all`; the newest, in the bucket with two others, when not said",
  )
  .option("--remote", "in the bucket")
  .addOption(reader())
  .addOption(identityOption())
  .addOption(json)
  .action(async (which: string | undefined, options) => {
    const settings = readSettings(process.env);
    const report = terminalReporter(Boolean(options.json));
    const results = options.remote
      ? await verifyInBucket(settings, which ?? "sample", options, report)
      : await verifyHere(settings, which ?? "latest", report);
    if (options.json) printJson(results);
    if (results.length === 0)
      throw new Stop(EXIT.unusableBackup, "There is no backup to verify.", "Take one: npx budgie backup");
    if (results.some(({ good }) => !good)) outcome = EXIT.unusableBackup;
  });

program
  .command("drill")
  .description("prove a backup: restore it into a throw-away server, dump it again, compare")
  .argument("[backup]", "a backup's name, `latest`, or a path", "latest")
  .addOption(new Option("--from <place>", "prove the copy there").choices(["s3"]))
  .addOption(reader())
  .addOption(identityOption())
  .addOption(json)
  .action(async (which: string, options) => {
    const settings = readSettings(process.env);
    const { drill } = await import("./drill.ts");
    const store = options.from ? await readerFor(settings, options) : null;
    const drilled = await drill(settings, { which, store }, terminalReporter(Boolean(options.json)));
    if (options.json) printJson(drilled);
    if (drilled.outcome === "bad") outcome = EXIT.unusableBackup;
  });

program
  .command("restore")
  .description("load a backup beside the database, compare, and swap it in")
  .argument("[backup]", "a backup's name, `latest`, a path, `-` for standard input, or s3://BUCKET/KEY")
  .addOption(new Option("--from <place>", "fetch it from there first").choices(["s3"]))
  .addOption(reader())
  .addOption(identityOption())
  .option("--from-stack <stack>", "allow a backup of this other stack")
  .option("--undo", "swap back the database that the last restore set aside")
  .option("--at <moment>", 'as it was at a moment, e.g. "2026-11-22 14:03:00+01"')
  .addOption(json)
  .action(async (source: string | undefined, options) => {
    const settings = readSettings(process.env);
    const report = terminalReporter(Boolean(options.json));
    if ([source, options.undo, options.at].filter(Boolean).length !== 1) {
      throw new Stop(
        EXIT.usage,
        "Say either which backup to restore, or --at a moment, or --undo.",
        "For instance: npx budgie restore latest",
      );
    }
    const { undoRestore } = await import("./restore.ts");
    const restored = options.undo
      ? await undoRestore(settings, report)
      : options.at
        ? await restoreMoment(settings, options.at, options, report)
        : await restoreFrom(settings, source as string, options, report);
    if (options.json) printJson(restored);
  });

program
  .command("status")
  .description("say whether everything is as it should be; exit code 10 when not")
  .addOption(json)
  .action(async options => {
    const { readStatus } = await import("./status.ts");
    const { printStatus } = await import("./print.ts");
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
    const { checkIdentity } = await import("./identity.ts");
    await checkIdentity(settings);
    terminalReporter(false).done(`${settings.database} is the database of stack ${settings.stack}`);
  });

program
  .command("prove-first-backup")
  .description("take a backup and prove it, unless one of this database is proven already; for `pulumi up`")
  .action(async () => {
    const { proveFirstBackup } = await import("./first-backup.ts");
    const proven = await proveFirstBackup(readSettings(process.env), terminalReporter(true));
    const { name, provenAt, tables, rows } = proven;
    process.stdout.write(
      `${name}, proven ${provenAt.slice(0, 16).replace("T", " ")} UTC by restoring it (tables: ${tables}, rows: ${rows})\n`,
    );
  });

program
  .command("accept-database")
  .description("from now on the database that is there is the right one")
  .action(async () => {
    const settings = readSettings(process.env);
    const { acceptDatabase } = await import("./identity.ts");
    const { systemIdentifier, tables } = await acceptDatabase(settings);
    terminalReporter(false).done(
      `${settings.database} (${systemIdentifier}, ${tables} tables) is the database of stack ${settings.stack} from now on`,
    );
  });

async function verifyHere(settings: AgentSettings, which: string, report: Reporter): Promise<Verified[]> {
  const { verify } = await import("./verify.ts");
  return verify(settings, which, report);
}

async function verifyInBucket(
  settings: AgentSettings,
  which: string,
  options: ReaderOptions,
  report: Reporter,
): Promise<Verified[]> {
  const { verifyRemote } = await import("./verify-remote.ts");
  return verifyRemote(settings, await readerFor(settings, options), which, report);
}

async function restoreFrom(
  settings: AgentSettings,
  source: string,
  options: ReaderOptions & { from?: "s3"; fromStack?: string },
  report: Reporter,
): Promise<Restored> {
  const [{ restore }, { parseObjectUrl }, { pull }, { takeIdentities }] = await Promise.all([
    import("./restore.ts"),
    import("./restore-source.ts"),
    import("./pull.ts"),
    import("./age-identity.ts"),
  ]);
  const object = parseObjectUrl(source);
  const reader = object || options.from ? await readerFor(settings, options, object?.bucket) : null;
  const identities = reader ? [] : await takeIdentities(options.identity);
  const pulled = options.from && reader ? (await pull(settings, reader, source, report)).name : source;
  const { fromStack = null } = options;
  return restore(settings, { source: pulled, fromStack, stdin: process.stdin, reader, identities }, report);
}

async function restoreMoment(
  settings: AgentSettings,
  at: string,
  options: ReaderOptions & { from?: "s3" },
  report: Reporter,
): Promise<Restored> {
  const [{ restore }, { parseMoment }, { localChains }, { remoteChains }] = await Promise.all([
    import("./restore.ts"),
    import("./moment.ts"),
    import("./chain-source.ts"),
    import("./remote-chains.ts"),
  ]);
  const moment = parseMoment(at);
  const store = options.from ? await readerFor(settings, options) : null;
  const source = store ? remoteChains(store) : localChains(settings);
  const { stdin } = process;
  return restore(
    settings,
    { source: at, fromStack: null, stdin, reader: null, identities: [], recovery: { moment, source } },
    report,
  );
}

addOffsiteCommands(program, reader, json);
addRetentionCommands(program, json);

void runCommandLine(async () => {
  await program.parseAsync();
  return outcome;
});
