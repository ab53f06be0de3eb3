import { type Command, InvalidArgumentError, Option } from "commander";
import { BACKUP_FORMATS } from "./backup-format.ts";
import { COPIES_PLACES } from "./copies-places.ts";

const json = () =>
  new Option("--json", "print one JSON value on standard output, and everything else on standard error");
const remote = (what: string) => new Option("--remote", what);
const from = (what: string) => new Option("--from <place>", what).choices(COPIES_PLACES);
const fromStack = () =>
  new Option("--from-stack <name>", "allow a backup of this other stack; with `latest`, its newest");

function wholeDays(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Say how many days, for instance 30.");
}

const nothingReplaced = ["undo", "dryRun", "into"];

/** The flags that `npx budgie` hands on to the agent as they were typed, by command. */
const FLAGS = {
  backup: () => [
    new Option("--format <format>", "how it is written; as configured when not said").choices(BACKUP_FORMATS),
    new Option("--pin", "have retention leave it alone until `unpin`, as before a change of the schema"),
    new Option("--role-passwords", "with the roles' passwords, hashed, in the file of roles beside it"),
    json(),
  ],
  list: () => [
    remote("the ones in the bucket instead of the backup directory's"),
    from("the copies in the bucket, or over ssh").conflicts("remote"),
    json(),
  ],
  push: () => [json()],
  pull: () => [from("fetch it from the bucket, as when not said, or from over ssh"), json()],
  verify: () => [
    remote("read it back from the bucket"),
    from("read it back from the bucket, or from over ssh").conflicts("remote"),
    json(),
  ],
  drill: () => [
    from("prove the copy in the bucket, or over ssh"),
    new Option(
      "--at [moment]",
      "prove instead that the database can be brought back as it was at a moment; the newest when none is said",
    ).conflicts("from"),
    json(),
  ],
  choose: () => [from("among the copies in the bucket, or over ssh"), fromStack()],
  restore: () => [
    from("take the backup from the bucket, or from over ssh"),
    new Option("--at <moment>", 'the database as it was at a moment, e.g. "2026-11-22 14:03:00+01"'),
    fromStack(),
    new Option("--undo", "swap back what the last restore replaced"),
    new Option("--dry-run", "load and compare, say what would be replaced, and change nothing").conflicts([
      "undo",
      "into",
    ]),
    new Option(
      "--into <name>",
      "leave it beside the database, under this name, and replace nothing",
    ).conflicts("undo"),
    new Option(
      "--table <name>",
      "copy this table alone out of it, into a schema beside the live tables, and replace nothing; may be repeated",
    )
      .argParser((name: string, before?: string[]) => [...(before ?? []), name])
      .conflicts(nothingReplaced),
    new Option(
      "--allow-older",
      "take `latest` although something newer does not count, or something fuller is there",
    ),
    new Option(
      "--trust-file",
      "DANGER: load a file that this stack did not write as it is, with all rights over the server",
    ),
    new Option(
      "--without-safety-backup",
      "do not back up what is there, where that fails; it is kept under another name all the same",
    ),
    json(),
  ],
  refresh: () => [
    new Option(
      "--from <stack>",
      "the stack whose newest proven backup is taken; when not said, all is as budgie:refreshFrom and its neighbours say",
    ),
    new Option(
      "--source <url>",
      "its bucket: s3://BUCKET, or s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION",
    ),
    new Option("--allow-production", "although this stack is one of production, by its name"),
    new Option(
      "--without-safety-backup",
      "do not back up what is there, where that fails; it is kept under another name all the same",
    ),
    json(),
  ],
  "drop-previous": () => [
    new Option("--older-than <days>", "those that were set aside longer ago").argParser(wholeDays),
    new Option("-y, --yes", "delete them without asking"),
    json(),
  ],
  prune: () => [new Option("--dry-run", "only say of every backup whether it stays, and why"), json()],
  pin: () => [
    new Option("--until <day>", "the last day of it, in UTC, e.g. 2027-03-31; until unpin when not said"),
    json(),
  ],
  unpin: () => [json()],
  status: () => [json()],
  evidence: () => [json()],
  alert: () => [
    new Option(
      "--test",
      "send a test to everybody who is told when something is wrong",
    ).makeOptionMandatory(),
  ],
  "accept-database": () => [],
  "accept-missing-backups": () => [],
  "accept-unproven": () => [],
  reindex: () => [],
} satisfies Record<string, () => Option[]>;

export type ForwardedCommand = keyof typeof FLAGS;

/** Gives a command its flags: on the operator's side, and again on the agent's. */
export function addFlags(command: Command, name: ForwardedCommand): Command {
  for (const option of FLAGS[name]()) command.addOption(option);
  return command;
}

/** The flags that were typed, as the agent is given them. */
export function flagsGiven(name: ForwardedCommand, typed: object): string[] {
  const values = typed as Record<string, unknown>;
  return FLAGS[name]().flatMap(option => {
    const value = values[option.attributeName()];
    if (value === undefined || value === false) return [];
    if (Array.isArray(value)) return value.flatMap(one => [`${option.long}`, String(one)]);
    return value === true ? [`${option.long}`] : [`${option.long}`, String(value)];
  });
}
