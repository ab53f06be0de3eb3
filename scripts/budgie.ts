import { PassThrough, type Readable, type Transform } from "node:stream";
import { text } from "node:stream/consumers";
import { Argument, Command, Option } from "commander";
import type Docker from "dockerode";
import { containerLog } from "../engine/container-log.ts";
import { IN_OWN_PLACE_WHERE_CROWDED } from "../engine/psql-in-container.ts";
import { ConnectionLost, isNotRunning, runInContainer } from "../engine/run-in-container.ts";
import { EXIT, Stop } from "../shared/exit-codes.ts";
import { addFlags, type ForwardedCommand } from "../shared/forwarded-flags.ts";
import { type Role, serviceName } from "../shared/names.ts";
import { runCommandLine } from "../shared/run-command-line.ts";
import { stackVersion } from "../shared/stack-version.ts";
import type { AdoptOptions } from "./adopt/adopt.ts";
import type { MigrateOptions } from "./migrate/migrate.ts";
import type { PurgeOptions } from "./purge.ts";
import type { RecoverVolumeOptions } from "./recover/recover-volume.ts";
import type { FailoverOptions } from "./replica/failover.ts";
import type { RejoinOptions } from "./replica/rejoin.ts";
import { logged, restartContainers, startContainers, stopContainers } from "./stack/containers.ts";
import { containerOf, findStack, managedBy, requireHere, type Stack } from "./stack/stack-containers.ts";
import { readableLines } from "./terminal/readable-log.ts";
import { withRawTerminal } from "./to-agent/agent-command.ts";
import { forward } from "./to-agent/forward.ts";
import type { UpgradeOptions } from "./upgrade/upgrade.ts";
import { findStackOfVolumes, stackOfVolumeNamed } from "./volume/volume-stack.ts";

/** What an operator calls the containers; the names of their roles work as well. */
const SERVICES: Record<string, Role> = Object.fromEntries(
  (["database", "backend", "backup-agent", "object-store"] as const).flatMap(role => [
    [serviceName(role), role],
    [role, role],
  ]),
);

const identity = () =>
  new Option("--identity <file>", "where the private key is that opens encrypted copies, on this machine");
const services = () =>
  new Argument("[service...]", "which containers; all when none is named")
    .choices(Object.keys(SERVICES))
    .default([]);
const rolesNamed = (names: string[]): Role[] | undefined =>
  names.length === 0 ? undefined : names.map(name => SERVICES[name] as Role);

const program = new Command("budgie")
  .description("Looks after Budgie's data: backups, restores, and the containers around them")
  .option(
    "--stack <name>",
    "which stack, by its name or its prefix, when several are on this engine",
    process.env.BUDGIE_STACK,
  )
  .version(stackVersion())
  .exitOverride()
  .showHelpAfterError("(npx budgie --help shows what you can type)");

const RECOVERIES = [
  "The database does not start: npx budgie recover-volume",
  "A pulumi was killed, and the stack is locked: npm run recover",
  "The project's folder was lost, and with it Pulumi's state: npm run recover-state",
].join("\n    ");

const wantedStack = () => program.opts<{ stack?: string }>().stack;
const stack = () => findStack(wantedStack());
/** A half-done upgrade is of no matter to the agent and the object store. */
const startable = async (names: string[]) => {
  const found = await stack();
  const roles = rolesNamed(names);
  if (roles === undefined || roles.includes("database") || roles.includes("backend"))
    await (await import("./recover/half-upgraded.ts")).requireNotHalfUpgraded(found);
  return found;
};
/** After a `destroy` as well. */
const stackOfVolumes = () => findStackOfVolumes(wantedStack());
let outcome: number = EXIT.done;
const finish = (code: number) => {
  outcome = code;
};

/** A command that the agent carries out as it was typed. */
const forwarded = (name: ForwardedCommand, description: string): Command => {
  const command = addFlags(program.command(name).description(description), name);
  return command.action(async () => {
    const [backup] = command.processedArgs as [string | undefined];
    finish(await forward(await stack(), name, backup, command.opts()));
  });
};

forwarded("backup", "take a backup now");

forwarded("list", "show the backups, newest first").addOption(identity());

forwarded("push", "send to the bucket, or to the other server, what is missing there");

addFlags(program.command("pull"), "pull")
  .description("bring a backup from the bucket into the backup directory, or to this machine, and compare it")
  .argument("<backup>", "a backup's name, or `latest`")
  .option("--to <folder>", "bring it into this folder on this machine, wherever the containers run")
  .addOption(identity())
  .action(async (backup: string, options) => {
    const { pullHere } = await import("./files/pull-here.ts");
    finish(
      options.to === undefined
        ? await forward(await stack(), "pull", backup, options)
        : await pullHere(await stack(), backup, options),
    );
  });

forwarded("verify", "read every byte of a backup and compare it with its manifest")
  .argument(
    "[backup]",
    "a backup's name, `latest`, or `all`; when not said, `latest`, and of the bucket a sample",
  )
  .addOption(identity());

forwarded("drill", "prove a backup: restore it into a throw-away server, dump it again, compare every byte")
  .argument("[backup]", "a backup's name, or `latest`", "latest")
  .addOption(identity());

addFlags(program.command("restore"), "restore")
  .description("put a backup in the database's place; what is there now is backed up and kept")
  .argument("[backup]", "a file, a backup's name, `latest`, s3://BUCKET/KEY, or `-` for standard input")
  .option("-y, --yes", "restart the backend afterwards without asking; decides nothing else")
  .addOption(identity())
  .action(async (backup: string | undefined, options) => {
    const { restoreDatabase } = await import("./restore/restore-database.ts");
    finish(await restoreDatabase(await stack(), backup, options));
  });

addFlags(program.command("refresh"), "refresh")
  .description(
    "put another stack's newest proven backup in the database's place, masked before anybody sees it",
  )
  .argument("[backup]", "one of that stack's backups; its newest proven one when not said")
  .option("--mask <file>", "SQL on this machine that runs in it before it is swapped in")
  .addOption(identity())
  .option("-y, --yes", "restart the backend afterwards without asking; decides nothing else")
  .action(async (backup: string | undefined, options) => {
    const { refreshDatabase } = await import("./restore/refresh.ts");
    finish(await refreshDatabase(await stack(), backup, options));
  });

program
  .command("migrate")
  .description(
    "move the database to another PostgreSQL server or machine, compared there; the backend stays stopped then",
  )
  .requiredOption(
    "--to <url>",
    "postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full, or ssh://USER@HOST/FOLDER of the stack there; no password in it",
  )
  .option("--to-stack <name>", "which stack there, where that machine has several")
  .option("--rehearse", "only load it there and compare, while everything runs; then throw that away")
  .option("-y, --yes", "go on without asking")
  .action(async (options: MigrateOptions) => {
    const { migrateDatabase } = await import("./migrate/migrate.ts");
    finish(await migrateDatabase(await stack(), options));
  });

addFlags(program.command("drop-previous"), "drop-previous")
  .description("list the databases that restores set aside, or delete some of them")
  .argument("[name...]", "which ones; without any, and without --older-than, they are listed")
  .action(async (names: string[], options) => {
    const { dropPrevious } = await import("./to-agent/drop-previous.ts");
    finish(await dropPrevious(await stack(), names, options));
  });

forwarded("prune", "delete the backups that no rule keeps; docs/retention.md has the rules");

forwarded("pin", "have retention leave a backup alone").argument("<backup>", "a backup's name");

forwarded("unpin", "let retention remove a pinned backup again").argument("<backup>", "a backup's name");

addFlags(program.command("status"), "status")
  .description("say whether everything is as it should be; exit code 10 when not")
  .option("--watch", "look again every five seconds, until Ctrl-C")
  .action(async options => {
    const { showStatus } = await import("./status/show-status.ts");
    finish(await showStatus(stack, options));
  });

program
  .command("check")
  .description("say it in one sentence, for scripts and for programs that watch this machine")
  .option("--nagios", "as monitoring plugins do: exit code 0, 1, 2 or 3, and figures")
  .action(async ({ nagios }) => {
    const { checkForNagios, checkStatus } = await import("./status/show-status.ts");
    finish(await (nagios ? checkForNagios(stack) : checkStatus(stack)));
  });

forwarded("evidence", "write one page that shows somebody else that backups work, in Markdown or as JSON");

forwarded("alert", "try whether alerts reach you");

forwarded(
  "accept-database",
  "say that the database which is there now is the right one, although its backups came from another",
);

forwarded("accept-missing-backups", "say that the backups which are gone from the backup directory are lost");

forwarded(
  "accept-unproven",
  "go on without a proven backup: the newest drill found that the database cannot be reloaded",
);

forwarded(
  "reindex",
  "build every index anew, as after a move to a system that sorts texts in another way; tables are locked meanwhile",
);

program
  .command("checksums")
  .description(
    "have PostgreSQL notice damaged pages; new volumes have that. Takes a backup, then stops the database",
  )
  .addArgument(new Argument("<what>", "enable").choices(["enable"]))
  .action(async () => {
    const { enableChecksums } = await import("./checksums.ts");
    finish(await enableChecksums(await stack()));
  });

program
  .command("psql")
  .description("open psql on the database; what follows -- goes to psql")
  .argument("[args...]", "arguments of psql")
  .action(async (args: string[]) => finish(await psql(args)));

program
  .command("at")
  .description(
    "look into a backup, or at a moment: open it read-only in a throw-away server, until you leave it",
  )
  .argument("<backup>", 'a backup\'s name, `latest`, or a moment such as "2026-11-22 14:03:00+01"')
  .addArgument(new Argument("<tool>", "what to open it with").choices(["psql"]))
  .argument("[args...]", "what follows -- goes to psql")
  .action(async (backup: string, _tool: string, args: string[]) => {
    const { psqlAt } = await import("./to-agent/at-backup.ts");
    finish(await psqlAt(await stack(), backup, args));
  });

program
  .command("logs")
  .description("show what the containers have written")
  .addArgument(services())
  .option("-f, --follow", "go on showing what is written")
  .option("--tail <lines>", "how many lines from the end", "100")
  .option(
    "--json",
    "each line as it was written: JSON objects of the agent and the API, without the engine's time",
  )
  .action((names: string[], options: LogOptions) => showLogs(rolesNamed(names), options));

program
  .command("start")
  .description("start what is stopped, and wait until it serves")
  .addArgument(services())
  .action(async (names: string[]) => startContainers(await startable(names), rolesNamed(names)));

program
  .command("stop")
  .description("stop the containers; the data stays")
  .addArgument(services())
  .action(async (names: string[]) => stopContainers(await stack(), rolesNamed(names)));

program
  .command("restart")
  .description("stop and start the containers; the data stays")
  .addArgument(services())
  .action(async (names: string[]) => restartContainers(await startable(names), rolesNamed(names)));

const volume = program
  .command("volume")
  .description("look at the volumes, copy the database's, put a copy back");

volume
  .command("list")
  .description("show the stack's volumes, their sizes, and who uses them")
  .action(async () => {
    const { listVolumes } = await import("./volume/volume-list.ts");
    await listVolumes(await stackOfVolumes());
  });

volume
  .command("inspect")
  .description("show what is known of the database's volume")
  .action(async () => {
    const { inspectVolume } = await import("./volume/volume-list.ts");
    await inspectVolume(await stackOfVolumes());
  });

volume
  .command("size")
  .description("show how much the database's volume takes")
  .action(async () => {
    const { showVolumeSize } = await import("./volume/volume-list.ts");
    await showVolumeSize(await stackOfVolumes());
  });

volume
  .command("export")
  .description("copy the database's volume into a tar file; its server must be stopped")
  .argument("<file>", "where to, or `-` for standard output")
  .action(async (file: string) => {
    const { exportVolume } = await import("./volume/volume-export.ts");
    await exportVolume(await stackOfVolumes(), file);
  });

volume
  .command("import")
  .description("put such a copy into the database's volume, which must be empty or not there")
  .argument("<file>", "where from, or `-` for standard input")
  .option("--volume <name>", "which volume, where nothing of its stack is on this engine yet")
  .action(async (file: string, options: { volume?: string }) => {
    const { importVolume } = await import("./volume/volume-import.ts");
    await importVolume(await (options.volume ? stackOfVolumeNamed(options.volume) : stackOfVolumes()), file);
  });

program
  .command("adopt")
  .description("take over what Budgie's own compose file has set up: its data, its API, its sessions")
  .option("--volume <name>", "the volume of the old install, where there are several")
  .option("--database <name>", "Budgie's database, where the volume holds several")
  .option("-y, --yes", "write the settings, stop the old containers and bring the stack up without asking")
  .option("--config-file <file>", "the stack's file, where it is not beside the program")
  .action(async (options: AdoptOptions) => {
    const { adopt } = await import("./adopt/adopt.ts");
    finish(await adopt(wantedStack(), options));
  });

program
  .command("purge")
  .description("DANGER: delete the database's volume, after `npm run pulumi -- destroy`; backups stay")
  .option("--backup-dir <folder>", "where the stack's backups are on this machine, when not in ./backups")
  .option("--without-backup", "go on although the data is not known to be in a proven backup")
  .option("--yes-delete <volume>", "the volume's name, for machines; a person is asked to type it")
  .action(async (options: PurgeOptions) => {
    const { purge } = await import("./purge.ts");
    await purge(await stackOfVolumes(), options);
  });

program
  .command("upgrade")
  .description(
    "move the data to the version of PostgreSQL that budgie:postgresVersion names; what there was stays beside it",
  )
  .option("--undo", "back to the version and the data of before the last upgrade; what there is now is kept")
  .option("-y, --yes", "do it without asking")
  .option("--config-file <file>", "the stack's file, where it is not beside the program")
  .action(async (options: UpgradeOptions) => {
    const { upgrade } = await import("./upgrade/upgrade.ts");
    finish(await upgrade(await stack(), options));
  });

program
  .command("failover")
  .description("make a replica the database, when the database's machine is gone; says first what it will do")
  .option("--to <replica>", "which one; the one that has most when not said")
  .option("--old-is-off", "the old machine is off and stays off, which nobody can see from here")
  .option("--while-it-serves", "leave a database that is at work: it is stopped first")
  .option("-y, --yes", "do it without asking")
  .option("--config-file <file>", "the stack's file, where it is not beside the program")
  .action(async (options: FailoverOptions) => {
    const { failover } = await import("./replica/failover.ts");
    finish(await failover(wantedStack(), options));
  });

program
  .command("rejoin")
  .description("after a failover: make the old machine a replica; its own data is kept aside")
  .requiredOption(
    "--host <engine>",
    "the old machine's engine: ssh://USER@HOST, tcp://HOST:PORT or unix:///PATH",
  )
  .requiredOption("--address <address>", "where it reaches the machine that the database is on now")
  .option("-y, --yes", "do it without asking")
  .option("--config-file <file>", "the stack's file, where it is not beside the program")
  .action(async (options: RejoinOptions) => {
    const { rejoin } = await import("./replica/rejoin.ts");
    finish(await rejoin(wantedStack(), options));
  });

program
  .command("recover-volume")
  .description(
    "for a database that does not start: keep its broken volume aside, make a new one, fill it from the newest backup",
  )
  .option("--backup <backup>", "take this one, and no WAL; the newest that counts when not said")
  .option("--yes-recover <volume>", "the volume's name, for machines; a person is asked to type it")
  .action(async (options: RecoverVolumeOptions) => {
    const { recoverVolume } = await import("./recover/recover-volume.ts");
    await recoverVolume(await stack(), options);
  });

program
  .command("recover", { hidden: true })
  .description("say which command recovers what")
  .allowExcessArguments()
  .allowUnknownOption()
  .action(() => {
    throw new Stop(EXIT.usage, "There are three things to recover, and a command for each.", RECOVERIES);
  });

/** Where psql runs, and what a shell there does before it. The backup agent has all that it takes to reach a server of Amazon's. */
function psqlIn(found: Stack): { container: Docker.Container; script: string } {
  if (managedBy(found) !== undefined)
    return {
      container: containerOf(found, "backup-agent").container,
      script: 'export PGSSLMODE=verify-full PGSSLROOTCERT="$BUDGIE_DATABASE_ROOTS_FILE"; ',
    };
  const asStack = 'export PGUSER="$POSTGRES_USER" PGDATABASE="$POSTGRES_DB"; ';
  return {
    container: containerOf(found, "database").container,
    script: `${asStack}${IN_OWN_PLACE_WHERE_CROWDED}`,
  };
}

async function psql(args: string[]): Promise<number> {
  const { container, script } = psqlIn(await stack());
  const command = ["sh", "-c", `${script}exec psql "$@"`, "psql", ...args];
  const terminal = Boolean(process.stdin.isTTY && process.stdout.isTTY);
  const run = () =>
    runInContainer(container, command, {
      terminal,
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
    });
  try {
    return terminal ? await withRawTerminal(run) : await run();
  } catch (error) {
    if (!(error instanceof ConnectionLost) && !isNotRunning(error)) throw error;
    throw new Stop(
      EXIT.engineOrContainerMissing,
      `psql ended, because its container does not run any more, or the engine was lost: ${(error as Error).message.trim()}.`,
      "See how things stand: npx budgie status",
    );
  } finally {
    process.stdin.destroy();
  }
}

interface LogOptions {
  follow?: boolean;
  tail: string;
  json?: boolean;
}

async function showLogs(roles: Role[] | undefined, { follow, tail, json }: LogOptions): Promise<void> {
  const found = await stack();
  requireHere(found, roles ?? []);
  const wanted = found.containers.filter(({ role }) => roles?.includes(role) ?? true);
  const shown = (await Promise.all(wanted.map(logged))).flat();
  const options = { tail: Number(tail), timestamps: !json };
  const lines = (): Transform => (json ? new PassThrough() : readableLines());
  for (const { name, container } of shown) {
    if (shown.length > 1) process.stdout.write(`==> ${name} <==\n`);
    if (follow) {
      const stream = await container.logs({ stdout: true, stderr: true, ...options, follow: true });
      const [out, err] = [lines(), lines()];
      out.pipe(process.stdout);
      err.pipe(process.stderr);
      container.modem.demuxStream(stream, out, err);
      process.stdout.once("error", () => (stream as Readable).destroy());
    } else {
      const log = lines();
      log.end(await containerLog(container, options));
      process.stdout.write(await text(log));
    }
  }
}

void runCommandLine(async () => {
  await program.parseAsync();
  return outcome;
});
