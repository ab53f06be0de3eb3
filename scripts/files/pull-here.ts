import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { z } from "zod";
import { readFromContainer } from "../../engine/run-in-container.ts";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { shellWord } from "../../shared/shell-word.ts";
import { containerOf, type Stack } from "../stack/stack-containers.ts";
import { askAgent, type ReadingCopies, readingCopies } from "../to-agent/agent-command.ts";
import { writeWholeFile } from "../volume/whole-file.ts";
import { inFolder } from "./backup-files.ts";

const listed = z.array(
  z.object({
    name: z.string(),
    flaw: z.string().nullable(),
    manifest: z
      .object({ sha256: z.string(), globals: z.object({ file: z.string(), sha256: z.string() }).nullish() })
      .nullable(),
  }),
);

const pulled = z.object({ name: z.string() });

export interface PullHereOptions extends ReadingCopies {
  to: string;
}

/**
 * Brings a backup, its manifest and its roles into a folder on this machine, wherever the containers run. What is in the bucket alone is
 * fetched into the backup directory first. Nothing gets its name here before it is compared with the manifest, and nothing that is
 * there is overwritten. A file that arrived before, and is whole, stays: the same command finishes what was cut.
 */
export async function pullHere(stack: Stack, wanted: string, options: PullHereOptions): Promise<number> {
  const { to } = options;
  await requireFolder(to);
  let found = options.from ? undefined : await find(stack, wanted);
  if (!found) {
    const args = ["pull", wanted, "--json", ...(options.from ? ["--from", options.from] : [])];
    const { code, stdout } = await askAgent(stack, { args, ...readingCopies(options) });
    if (code !== EXIT.done) return code;
    found = await find(stack, pulled.parse(JSON.parse(stdout)).name);
  }
  if (!found) throw unusable(`${wanted} is not in the backup directory.`);
  const { name, flaw, manifest } = found;
  if (flaw !== null || manifest === null) throw unusable(`${name} does not count: ${flaw ?? "no manifest"}.`);
  if (manifest.globals) await bring(stack, manifest.globals.file, manifest.globals.sha256, to);
  await bring(stack, name, manifest.sha256, to);
  // Last, so that the three are whole where it is there.
  await bringManifest(stack, name.replace(/^(budgie_\d{8}_\d{6})\..*$/, "$1.json"), manifest.sha256, to);
  const { size: bytes } = await stat(join(to, name));
  process.stderr.write(`[✓] ${join(to, name)}: ${bytes} bytes, as its manifest says\n`);
  return EXIT.done;
}

/** Throws a Stop where another file has the name. */
async function bring(stack: Stack, file: string, sha256: string, to: string): Promise<void> {
  const there = await inFolder(to)
    .digest(file)
    .catch(() => null);
  if (there?.sha256 === sha256) return;
  await writeWholeFile(
    join(to, file),
    out => read(stack, file, out),
    written => {
      if (written.sha256 === sha256) return;
      throw new Stop(
        EXIT.failed,
        `${file} did not arrive as its manifest says, and was not kept.`,
        `Is it whole there? npx budgie verify ${file}. Then run the same command again.`,
      );
    },
  );
}

/** The agent may have noted something in it since: it is the same manifest when it is of the same bytes. */
async function bringManifest(stack: Stack, file: string, sha256: string, to: string): Promise<void> {
  const path = join(to, file);
  const there = await readFile(path, "utf8").catch(() => null);
  if (there?.includes(`"${sha256}"`)) return;
  await writeWholeFile(path, out => read(stack, file, out));
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
