import { text } from "node:stream/consumers";
import { type Command, Option } from "commander";
import type { ObjectStore } from "./object-store.ts";
import { printJson } from "./print-json.ts";
import { terminalReporter } from "./reporter.ts";
import { type AgentSettings, readSettings } from "./settings.ts";

/** The credentials a command was given may read; they are gone from where they were kept before anything else happens. */
export async function readerFor(
  settings: AgentSettings,
  { reader: path, identity }: ReaderOptions,
  bucket?: string,
): Promise<ObjectStore> {
  const { takeIdentities } = await import("./age-identity.ts");
  const { noReader, openReader, takeReader } = await import("./reader.ts");
  const identities = await takeIdentities(identity);
  if (path === undefined) throw noReader("The agent itself may not read the bucket");
  return openReader(settings, await takeReader(path), identities, bucket);
}

/** Where what a command was given is kept for it. */
export interface ReaderOptions {
  reader?: string;
  identity?: string;
}

export const identityOption = () =>
  new Option("--identity <path>", "where `keep-identity` put the key that opens encrypted copies");

/** The commands that send copies elsewhere and fetch them back. */
export function addOffsiteCommands(program: Command, reader: () => Option, json: Option): void {
  program
    .command("push")
    .description("send every backup that a copy's place lacks")
    .addOption(reader())
    .addOption(json)
    .action(async options => {
      const settings = readSettings(process.env);
      const report = terminalReporter(Boolean(options.json));
      const { requireSent, sendCopies } = await import("./copies.ts");
      const store = options.reader ? await readerFor(settings, options) : null;
      const { store: toStore, ssh } = await sendCopies(
        settings,
        { operation: "push", reader: store },
        report,
      );
      if (options.json) printJson({ store: withMessage(toStore), ssh: withMessage(ssh) });
      requireSent({ store: toStore, ssh }, report);
      for (const place of [toStore?.store, ssh?.target]) if (place) report.done(`${place} has every backup`);
      if (!toStore && !ssh) report.info("This stack has no place for copies: budgie:objectStore is none");
    });

  program
    .command("pull")
    .description("fetch a backup from the bucket into the backup directory")
    .argument("<backup>", "a backup's name or key, or `latest`")
    .addOption(reader())
    .addOption(identityOption())
    .addOption(json)
    .action(async (which: string, options) => {
      const settings = readSettings(process.env);
      const store = await readerFor(settings, options);
      const { pull } = await import("./pull.ts");
      const pulled = await pull(settings, store, which, terminalReporter(Boolean(options.json)));
      if (options.json) printJson(pulled);
    });

  program
    .command("keep-reader")
    .description("keep credentials from standard input, in memory, for the next command's --reader")
    .action(async () => {
      const { keepReader } = await import("./reader.ts");
      process.stdout.write(`${await keepReader(process.stdin)}\n`);
    });

  program
    .command("keep-identity")
    .description("keep a private key from standard input, in memory, for the next command's --identity")
    .action(async () => {
      const { keepIdentity } = await import("./age-identity.ts");
      process.stdout.write(`${await keepIdentity(process.stdin)}\n`);
    });

  program
    .command("prepare-local-store")
    .description("make the stack's own object store ready, as told on standard input")
    .action(async () => {
      const { prepareLocalStore } = await import("./local-store.ts");
      terminalReporter(false).done(await prepareLocalStore(await text(process.stdin)));
    });
}

function withMessage<T extends { failure: Error | null }>(outcome: T | null) {
  return outcome && { ...outcome, failure: outcome.failure?.message ?? null };
}
