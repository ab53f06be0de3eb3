import { Command } from "commander";
import { expect, it } from "vitest";
import { addFlags, type ForwardedCommand, flagsGiven } from "../../../shared/forwarded-flags.ts";

it.each<[ForwardedCommand, string[]]>([
  ["backup", []],
  ["backup", ["--format", "sql.zst", "--role-passwords", "--json"]],
  ["verify", ["--remote"]],
  ["drill", ["--from", "s3"]],
  ["choose", ["--from", "s3", "--from-stack", "prod"]],
  ["restore", ["--at", "-1 day", "--from-stack", "prod", "--undo", "--allow-older", "--trust-file"]],
  ["restore", ["--without-safety-backup"]],
  ["restore", ["--table", "users", "--table", 'public."Odd Name"', "--json"]],
  ["refresh", []],
  ["refresh", ["--from", "prod", "--source", "s3://backups?region=eu-central-1", "--allow-production"]],
  ["prune", ["--dry-run", "--json"]],
  ["pin", ["--until", "2027-03-31"]],
  ["accept-database", []],
])("%s %j is handed on as it was typed", (name, typed) => {
  const command = addFlags(new Command(name), name).parse(typed, { from: "user" });
  expect(flagsGiven(name, { ...command.opts(), identity: "key.txt", yes: true })).toEqual(typed);
});
