import { type Command, Option } from "commander";
import { type Reporter, terminalReporter } from "../base/reporter.ts";

export const readerOption = () =>
  new Option("--reader <path>", "where `keep-reader` put credentials that may read");

/** Where what a command was given is kept for it. */
export interface ReaderOptions {
  reader?: string;
  identity?: string;
}

/** A command that may read a bucket, and what is encrypted there. */
export function mayRead(command: Command): Command {
  return command
    .addOption(readerOption())
    .option("--identity <path>", "where `keep-identity` put the key that opens encrypted copies");
}

/** Speaks on standard error where standard output holds a JSON value. */
export function reporterFor({ json }: { json?: boolean }): Reporter {
  return terminalReporter(Boolean(json));
}
