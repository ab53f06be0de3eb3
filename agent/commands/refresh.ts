import type { Command } from "commander";
import { readSettings } from "../../shared/agent-environment.ts";
import type { AgentSettings } from "../../shared/agent-settings.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { addFlags } from "../../shared/forwarded-flags.ts";
import { parseRefreshSource } from "../../shared/refresh-source.ts";
import { printJson } from "../base/print-json.ts";
import type { Reporter } from "../base/reporter.ts";
import type { ChosenBackup } from "../restore/refresh-choice.ts";
import type { Restored } from "../restore/restoring.ts";
import { mayRead, type ReaderOptions, reporterFor } from "./options.ts";

/** How `refresh` was asked. */
interface RefreshFlags extends ReaderOptions {
  from?: string;
  source?: string;
  mask?: string;
  keptMask?: string;
  recorded?: string;
  allowProduction?: boolean;
  withoutSafetyBackup?: boolean;
  json?: boolean;
}

/** The command that puts another stack's data in the place of this one's. */
export function addRefreshCommand(program: Command): void {
  mayRead(addFlags(program.command("refresh"), "refresh"))
    .description("put another stack's backup in the place of this stack's database, masked")
    .argument("[backup]", "one of its backups; its newest proven one when not said")
    .option("--mask <path>", "SQL that runs in it first, from standard input: the path that was typed")
    .option("--kept-mask <path>", "where `keep-mask` put that SQL")
    .option("--recorded <sha256>", "what the backup holds, which comes through standard input")
    .action(async (backup: string | undefined, options: RefreshFlags) => {
      const settings = readSettings(process.env);
      const report = reporterFor(options);
      const { from } = options;
      const restored = await (from === undefined
        ? asConfigured(settings, options, report)
        : asTyped(settings, { ...options, from, backup: backup ?? null }, report));
      if (options.json) printJson(restored);
    });
}

async function asConfigured(
  settings: AgentSettings,
  { withoutSafetyBackup }: RefreshFlags,
  report: Reporter,
): Promise<Restored> {
  const { refreshAsConfigured } = await import("../restore/refresh-as-configured.ts");
  return refreshAsConfigured(settings, { withoutSafetyBackup: Boolean(withoutSafetyBackup) }, report);
}

type Typed = RefreshFlags & { from: string; backup: string | null };

async function asTyped(settings: AgentSettings, typed: Typed, report: Reporter): Promise<Restored> {
  const [{ refresh, requireTarget }, { readMask, takeMask }] = await Promise.all([
    import("../restore/refresh.ts"),
    import("../restore/mask.ts"),
  ]);
  const { from: fromStack, mask, keptMask } = typed;
  const allowProduction = Boolean(typed.allowProduction);
  requireTarget(settings, fromStack, allowProduction);
  const readIt = (path: string) => (keptMask ? takeMask(keptMask, path) : readMask(process.stdin, path));
  return refresh(
    settings,
    {
      fromStack,
      mask: mask === undefined ? null : await readIt(mask),
      chosen: await choose(settings, typed, report),
      allowProduction,
      withoutSafetyBackup: Boolean(typed.withoutSafetyBackup),
      nextElsewhere: NEXT_FOR_BUCKET,
    },
    report,
  );
}

const NEXT_FOR_BUCKET =
  "See that --source is that stack's bucket, with its endpoint and region, and that the keys may list and read there.";

async function choose(
  settings: AgentSettings,
  { from: fromStack, source, backup, recorded, reader, identity }: Typed,
  report: Reporter,
): Promise<ChosenBackup> {
  if (recorded !== undefined)
    return { source: "-", shown: `${backup} of ${fromStack}`, reader: null, contentSha256: recorded };
  const { chooseInBucket, chooseInFolder } = await import("../restore/refresh-choice.ts");
  if (source === undefined) {
    const folder = { path: settings.backupDir, shown: settings.backupDirShown };
    const next = `Prove one there: npx budgie --stack ${fromStack} drill. Or name one: npx budgie refresh --from ${fromStack} BACKUP`;
    return chooseInFolder(settings, folder, { fromStack, backup, next }, report);
  }
  const [{ atItsPlace }, { openBucketOf, takeReader, noReader }, { takeIdentities }] = await Promise.all([
    import("../restore/refresh.ts"),
    import("../store/bucket-credentials.ts"),
    import("../encryption/age-identity.ts"),
  ]);
  const identities = await takeIdentities(identity);
  if (reader === undefined) throw noReader("The agent itself may not read the bucket");
  const credentials = await takeReader(reader);
  const place = parseRefreshSource(source);
  if (place?.kind !== "s3")
    throw new Stop(
      EXIT.usage,
      `--source is ${JSON.stringify(source)}, and that is no bucket.`,
      "For instance: --source s3://BUCKET, or --source 's3://BUCKET/PREFIX?endpoint=https://HOST'. A folder, here or over ssh, is for budgie:refreshSource.",
    );
  const store = openBucketOf(settings, fromStack, place, credentials, identities);
  return chooseInBucket(settings, store, { fromStack, backup }, report).catch((error: unknown) => {
    throw atItsPlace(error, true, NEXT_FOR_BUCKET);
  });
}
