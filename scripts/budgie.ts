import { Argument, Command, Option } from "commander";
import { BACKUP_FORMATS } from "../agent/backup-format.ts";
import { EXIT } from "../agent/exit-codes.ts";
import { runCommandLine } from "../agent/run-command-line.ts";
import { withoutFrames } from "../components/container-log.ts";
import { runAgent, withRawTerminal } from "./agent-command.ts";
import { backupDatabase } from "./backup-database.ts";
import { drillBackup, listBackups, pullBackup, pushBackups, verifyBackups } from "./bucket-commands.ts";
import { restartContainers, startContainers, stopContainers } from "./containers.ts";
import { restoreDatabase } from "./restore-database.ts";
import { pinBackup, pruneBackups, unpinBackup } from "./retention-commands.ts";
import { runInContainer } from "./run-in-container.ts";
import { showStatus } from "./show-status.ts";
import { containerOf, findStack, type Role } from "./stack-containers.ts";

/** What an operator calls the containers; the names of their roles work as well. */
const SERVICES: Record<string, Role> = {
  db: "database",
  database: "database",
  backend: "backend",
  backup: "backup-agent",
  "backup-agent": "backup-agent",
  "object-store": "object-store",
};

const json = new Option(
  "--json",
  "print one JSON value on standard output, and everything else on standard error",
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
  .exitOverride()
  .showHelpAfterError("(npx budgie --help shows what can be said)");

const stack = () => findStack(program.opts<{ stack?: string }>().stack);
let outcome: number = EXIT.done;
const finish = (code: number) => {
  outcome = code;
};

program
  .command("backup")
  .description("take a backup now")
  .addOption(
    new Option("--format <format>", "how it is written; as configured when not said").choices(BACKUP_FORMATS),
  )
  .option("--role-passwords", "with the roles' passwords, hashed, in the file of roles beside it")
  .addOption(json)
  .action(async options => finish(await backupDatabase(await stack(), options)));

program
  .command("list")
  .description("show the backups, newest first")
  .option("--remote", "the ones in the bucket instead of the backup directory's")
  .addOption(identity())
  .addOption(json)
  .action(async options => finish(await listBackups(await stack(), options)));

program
  .command("push")
  .description("send to the bucket, or to the other server, what is missing there")
  .addOption(json)
  .action(async options => finish(await pushBackups(await stack(), options)));

program
  .command("pull")
  .description("bring a backup from the bucket into the backup directory, and compare it with its manifest")
  .argument("<backup>", "a backup's name, or `latest`")
  .addOption(identity())
  .addOption(json)
  .action(async (backup: string, options) => finish(await pullBackup(await stack(), backup, options)));

program
  .command("verify")
  .description("read every byte of a backup and compare it with its manifest")
  .argument(
    "[backup]",
    "a backup's name, `latest`, or `all`; when not said, `latest`, and of the bucket a sample",
  )
  .option("--remote", "read it back from the bucket")
  .addOption(identity())
  .addOption(json)
  .action(async (backup: string | undefined, options) =>
    finish(await verifyBackups(await stack(), backup, options)),
  );

program
  .command("drill")
  .description("prove a backup: restore it into a throw-away server, dump it again, compare every byte")
  .argument("[backup]", "a backup's name, or `latest`", "latest")
  .addOption(new Option("--from <place>", "prove the copy in the bucket").choices(["s3"]))
  .addOption(identity())
  .addOption(json)
  .action(async (backup: string, options) => finish(await drillBackup(await stack(), backup, options)));

program
  .command("restore")
  .description("put a backup in the database's place; what is there now is backed up and kept")
  .argument("[backup]", "a file, a backup's name, `latest`, s3://BUCKET/KEY, or `-` for standard input")
  .addOption(new Option("--from <place>", "take the backup from the bucket").choices(["s3"]))
  .option("--at <moment>", 'the database as it was at a moment, e.g. "2026-11-22 14:03:00+01"')
  .option("--from-stack <name>", "allow a backup of this other stack")
  .option("--undo", "swap back what the last restore replaced")
  .option("-y, --yes", "restart the backend afterwards without asking")
  .addOption(identity())
  .addOption(json)
  .action(async (backup: string | undefined, options) =>
    finish(await restoreDatabase(await stack(), backup, options)),
  );

program
  .command("prune")
  .description("delete the backups that no rule keeps; docs/retention.md has the rules")
  .option("--dry-run", "only say of every backup whether it stays, and why")
  .addOption(json)
  .action(async options => finish(await pruneBackups(await stack(), options)));

program
  .command("pin")
  .description("have retention leave a backup alone")
  .argument("<backup>", "a backup's name")
  .option("--until <day>", "the last day of it, in UTC, e.g. 2027-03-31; until unpin when not said")
  .addOption(json)
  .action(async (backup: string, options) => finish(await pinBackup(await stack(), backup, options)));

program
  .command("unpin")
  .description("let retention remove a pinned backup again")
  .argument("<backup>", "a backup's name")
  .addOption(json)
  .action(async (backup: string, options) => finish(await unpinBackup(await stack(), backup, options)));

program
  .command("status")
  .description("say whether everything is as it should be; exit code 10 when not")
  .addOption(json)
  .action(async options => finish(await showStatus(await stack(), Boolean(options.json))));

program
  .command("accept-database")
  .description(
    "say that the database which is there now is the right one, although its backups came from another",
  )
  .action(async () => finish(await runAgent(await stack(), { args: ["accept-database"] })));

program
  .command("psql")
  .description("open psql on the database; what follows -- goes to psql")
  .argument("[args...]", "arguments of psql")
  .action(async (args: string[]) => finish(await psql(args)));

program
  .command("logs")
  .description("show what the containers have written")
  .addArgument(services())
  .option("-f, --follow", "go on showing what is written")
  .option("--tail <lines>", "how many lines from the end", "100")
  .action((names: string[], options) => showLogs(rolesNamed(names), Boolean(options.follow), options.tail));

program
  .command("start")
  .description("start what is stopped, and wait until it serves")
  .addArgument(services())
  .action(async (names: string[]) => startContainers(await stack(), rolesNamed(names)));

program
  .command("stop")
  .description("stop the containers; the data stays")
  .addArgument(services())
  .action(async (names: string[]) => stopContainers(await stack(), rolesNamed(names)));

program
  .command("restart")
  .description("stop and start the containers; the data stays")
  .addArgument(services())
  .action(async (names: string[]) => restartContainers(await stack(), rolesNamed(names)));

async function psql(args: string[]): Promise<number> {
  const { container } = containerOf(await stack(), "database");
  const command = ["sh", "-c", 'exec psql -U "$POSTGRES_USER" -d "$POSTGRES_DB" "$@"', "psql", ...args];
  const terminal = Boolean(process.stdin.isTTY && process.stdout.isTTY);
  const run = () =>
    runInContainer(container, command, {
      terminal,
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
    });
  const code = terminal ? await withRawTerminal(run) : await run();
  process.stdin.destroy();
  return code;
}

async function showLogs(roles: Role[] | undefined, follow: boolean, tail: string): Promise<void> {
  const { containers } = await stack();
  const shown = containers.filter(({ role }) => roles?.includes(role) ?? true);
  for (const { name, container } of shown) {
    if (shown.length > 1) process.stdout.write(`==> ${name} <==\n`);
    const options = { stdout: true, stderr: true, tail: Number(tail), timestamps: true };
    if (follow) {
      const stream = await container.logs({ ...options, follow: true });
      container.modem.demuxStream(stream, process.stdout, process.stderr);
    } else {
      process.stdout.write(withoutFrames(await container.logs({ ...options, follow: false })));
    }
  }
}

void runCommandLine(async () => {
  await program.parseAsync();
  return outcome;
});
