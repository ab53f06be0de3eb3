import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { readSettings } from "../../shared/agent-environment.ts";
import { addFlags } from "../../shared/forwarded-flags.ts";
import { printJson } from "../base/print-json.ts";
import { terminalReporter } from "../base/reporter.ts";
import { readerFor } from "./bucket-reader.ts";
import { mayRead, readerOption, reporterFor } from "./options.ts";
import { withCopies } from "./with-copies.ts";

/** The commands that send copies elsewhere and fetch them back. */
export function addOffsiteCommands(program: Command): void {
  addFlags(program.command("push"), "push")
    .description("send every backup that a copy's place lacks")
    .addOption(readerOption())
    .action(async options => {
      const settings = readSettings(process.env);
      const report = reporterFor(options);
      const { requireSent, sendCopies } = await import("../copies/send.ts");
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

  mayRead(addFlags(program.command("pull"), "pull"))
    .description("fetch a backup from the bucket, or from over ssh, into the backup directory")
    .argument("<backup>", "a backup's name or key, or `latest`")
    .action(async (which: string, options) => {
      const settings = readSettings(process.env);
      const { pull } = await import("../copies/pull.ts");
      const pulled = await withCopies(settings, options.from ?? "s3", options, copies =>
        pull(settings, copies, which, reporterFor(options)),
      );
      if (options.json) printJson(pulled);
    });

  program
    .command("keep-reader")
    .description("keep credentials from standard input, in memory, for the next command's --reader")
    .action(async () => {
      const { keepReader } = await import("../store/bucket-credentials.ts");
      process.stdout.write(`${await keepReader(process.stdin)}\n`);
    });

  program
    .command("keep-identity")
    .description("keep a private key from standard input, in memory, for the next command's --identity")
    .action(async () => {
      const { keepIdentity } = await import("../encryption/age-identity.ts");
      process.stdout.write(`${await keepIdentity(process.stdin)}\n`);
    });

  program
    .command("prepare-local-store")
    .description("make the stack's own object store ready, as told on standard input")
    .action(async () => {
      const { prepareLocalStore } = await import("../local-store/set-up.ts");
      terminalReporter(false).done(await prepareLocalStore(await text(process.stdin)));
    });
}

function withMessage<T extends { failure: Error | null }>(outcome: T | null) {
  return outcome && { ...outcome, failure: outcome.failure?.message ?? null };
}
