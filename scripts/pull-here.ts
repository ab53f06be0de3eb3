import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { z } from "zod";
import { readFromContainer } from "../engine/run-in-container.ts";
import { EXIT, Stop } from "../shared/exit-codes.ts";
import { shellWord } from "../shared/shell-word.ts";
import { askAgent, runAgent } from "./agent-command.ts";
import { containerOf, type Stack } from "./stack-containers.ts";
import { writeWholeFile } from "./whole-file.ts";

const listed = z.array(
  z.object({
    name: z.string(),
    flaw: z.string().nullable(),
    manifest: z
      .object({ sha256: z.string(), globals: z.object({ file: z.string(), sha256: z.string() }).nullish() })
      .nullable(),
  }),
);

export interface PullHereOptions {
  to: string;
  /** The file with the private key that opens encrypted copies. */
  identity?: string;
}

/**
 * Brings a backup, its manifest and its roles into a folder on this machine, wherever the containers run. What is in the bucket alone is
 * fetched into the backup directory first. Nothing gets its name here before it is compared with the manifest, and nothing that is
 * there is overwritten.
 */
export async function pullHere(
  stack: Stack,
  wanted: string,
  { to, identity }: PullHereOptions,
): Promise<number> {
  await requireFolder(to);
  let found = await find(stack, wanted);
  if (!found) {
    const code = await runAgent(stack, {
      args: ["pull", wanted],
      readsBucket: "always",
      identityFile: identity,
    });
    if (code !== EXIT.done) return code;
    found = await find(stack, wanted);
  }
  if (!found) throw unusable(`${wanted} is not in the backup directory.`);
  const { name, flaw, manifest } = found;
  if (flaw !== null || manifest === null) throw unusable(`${name} does not count: ${flaw ?? "no manifest"}.`);
  const copy = (file: string, sha256?: string) =>
    writeWholeFile(
      join(to, file),
      out => read(stack, file, out),
      written => {
        if (sha256 !== undefined && written.sha256 !== sha256)
          throw new Stop(
            EXIT.failed,
            `${file} did not arrive as its manifest says. Nothing was kept.`,
            `Is it whole there? npx budgie verify ${name}. Then run the same command again.`,
          );
      },
    );
  if (manifest.globals) await copy(manifest.globals.file, manifest.globals.sha256);
  const { bytes } = await copy(name, manifest.sha256);
  // Last, so that the three are whole where it is there.
  await copy(name.replace(/^(budgie_\d{8}_\d{6})\..*$/, "$1.json"));
  process.stderr.write(`[✓] ${join(to, name)}: ${bytes} bytes, as its manifest says\n`);
  return EXIT.done;
}

async function find(stack: Stack, wanted: string) {
  const { code, stdout } = await askAgent(stack, { args: ["list", "--json"] });
  if (code !== EXIT.done)
    throw new Stop(
      EXIT.failed,
      "The agent could not list its backups, as was said above.",
      "npx budgie status",
    );
  const backups = listed.parse(JSON.parse(stdout));
  return backups.find(({ name, flaw }) => (wanted === "latest" ? flaw === null : name === wanted));
}

async function read(stack: Stack, file: string, out: Writable): Promise<void> {
  const { container } = containerOf(stack, "backup-agent");
  const { code, stderr } = await readFromContainer(container, ["cat", "--", `/backups/${file}`], out);
  if (code !== 0)
    throw new Stop(
      EXIT.failed,
      `${file} could not be read: ${stderr.trim() || `exit code ${code}`}. Nothing was kept.`,
      "`npx budgie list` shows the backups there are.",
    );
}

async function requireFolder(to: string): Promise<void> {
  const there = await stat(to).catch(() => null);
  if (there?.isDirectory()) return;
  throw new Stop(EXIT.usage, `${to} is no folder. Nothing was fetched.`, `mkdir -p ${shellWord(to)}`);
}

function unusable(why: string): Stop {
  return new Stop(EXIT.unusableBackup, why, "`npx budgie list` shows the backups there are.");
}
