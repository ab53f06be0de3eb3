// npm run recover-state -- FILE: Pulumi's state of a stack, from the file that was kept beside its backups. Touches no container and no volume.

import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { holdsPlaintext, type KeptState, keptState } from "../../shared/kept-state.ts";
import { PROJECT_FOLDER, STATE_FOLDER } from "../../shared/project-folder.ts";
import { toolchainEnvironment } from "../machine/environment.ts";
import { prepareLocalState, STACK } from "../machine/local-state.ts";
import { needsOf } from "../machine/needs.ts";
import { runMain, say, sayDone, ToolchainError } from "../machine/say.ts";
import { askPulumi } from "./ask-pulumi.ts";
import { passphraseFits } from "./passphrase-fits.ts";
import { type Deployment, stackNameBefore } from "./renamed-stack.ts";
import { withoutSalt } from "./stack-file.ts";

/** How the name of the resource ends that holds it. */
const MANIFEST_KEY = "::backup-agent-manifest-key";

const { values: options, positionals } = parseArgs({
  options: { "config-file": { type: "string" } },
  allowPositionals: true,
});

/**
 * In this order: everything is looked at before anything is written, and the settings come before the state, so that the same command goes
 * on after a kill. A state that knows resources is never replaced.
 */
await runMain(async () => {
  const [from] = positionals;
  if (from === undefined)
    throw new ToolchainError(
      "Say which file: npm run recover-state -- backups/state/dev/state_….json\n    From the bucket, or the other server, copy it here first; one that ends in .age is opened by: age -d -i key.txt FILE.age > FILE",
    );
  const kept = await readKept(resolve(process.env.INIT_CWD ?? process.cwd(), from));
  const env = await toolchainEnvironment({ needs: await needsOf(PROJECT_FOLDER, process.argv.slice(2)) });
  await requirePassphrase(kept, env);
  await prepareLocalState(PROJECT_FOLDER, env);
  const exists = await requireNoResources(kept.stack, env);
  const file = settingsFile(kept.stack);
  return withoutSalt([file], async () => {
    await putSettings(kept, file);
    if (!exists) await askPulumi(env, ["stack", "init", kept.stack, "--no-select"]);
    await importState(kept, env);
    await putManifestKey(kept, env);
    sayDone(
      `Pulumi's state of ${kept.stack} is back, as of ${kept.at}: ${kept.state.deployment.resources?.length ?? 0} resources. What to type next:`,
    );
    const onStack = kept.stack === STACK ? "" : ` --stack ${kept.stack}`;
    say(
      `    npm run pulumi -- preview --refresh${onStack}     # what has changed since; where it shows nothing, all is as it was`,
    );
    say(`    npm run pulumi -- up --refresh${onStack}`);
    return 0;
  });
});

async function readKept(path: string): Promise<KeptState> {
  const text = await readFile(path, "utf8").catch((error: Error) => {
    throw new ToolchainError(`The file cannot be read: ${error.message}. Nothing was changed.`);
  });
  if (text.startsWith("age-encryption.org/"))
    throw new ToolchainError(
      `${path} is encrypted to your age key. Nothing was changed. Open it first: age -d -i key.txt ${path} > state.json`,
    );
  const parsed = keptState.safeParse(parseJson(text));
  if (!parsed.success)
    throw new ToolchainError(
      `${path} is no state that an up has kept: cut off, changed, or another file. Nothing was changed. Take another one from the same folder.`,
    );
  if (holdsPlaintext(parsed.data))
    throw new ToolchainError(
      `${path} holds secrets that are not encrypted, so no up has kept it. Nothing was changed.`,
    );
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A passphrase that was made here would open nothing, and make a state that nobody can read. */
async function requirePassphrase(kept: KeptState, env: NodeJS.ProcessEnv): Promise<void> {
  const provider = kept.state.deployment.secrets_providers;
  if (provider?.type !== "passphrase") return;
  const passphrase = await passphraseOf(env);
  if (passphrase === undefined)
    throw new ToolchainError(
      `The passphrase that opens the secrets of ${kept.stack} is not here. Nothing was changed. Put your copy of it into ${join(PROJECT_FOLDER, ".passphrase")}, or set PULUMI_CONFIG_PASSPHRASE.`,
    );
  const { salt } = (provider.state ?? {}) as { salt?: string };
  if (salt === undefined || passphraseFits(passphrase, salt) !== false) return;
  throw new ToolchainError(
    `The passphrase that is here does not open the secrets of ${kept.stack}. Nothing was changed. Put the one that the stack was made with into ${join(PROJECT_FOLDER, ".passphrase")}, or set PULUMI_CONFIG_PASSPHRASE.`,
  );
}

async function passphraseOf(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { PULUMI_CONFIG_PASSPHRASE: given, PULUMI_CONFIG_PASSPHRASE_FILE: file } = env;
  if (given) return given;
  const text = file && (await readFile(file, "utf8").catch(() => undefined));
  return text?.trim() || undefined;
}

/** Whether there is such a stack, with nothing in it. Throws where there is something. */
async function requireNoResources(stack: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const listed = JSON.parse(await askPulumi(env, ["stack", "ls", "--json"])) as { name: string }[];
  if (!listed.some(({ name }) => name.split("/").at(-1) === stack)) return false;
  const { deployment } = JSON.parse(
    await askPulumi(env, ["stack", "export", "--stack", stack]),
  ) as KeptState["state"];
  const count = deployment.resources?.length ?? 0;
  if (count === 0) return true;
  throw new ToolchainError(
    `The stack ${stack} is here, and its state knows ${count} resources. It is never replaced. Nothing was changed.\n    To see what it knows: npm run pulumi -- stack --stack ${stack}`,
  );
}

function settingsFile(stack: string): string {
  const file = options["config-file"] ?? `Pulumi.${stack}.yaml`;
  return isAbsolute(file) ? file : join(PROJECT_FOLDER, file);
}

/** What is here stays beside it. */
async function putSettings({ settings }: KeptState, file: string): Promise<void> {
  const here = await readFile(file, "utf8").catch(() => null);
  if (settings === null || settings === here) return;
  if (here !== null) {
    await copyFile(file, `${file}.before-recover`);
    say(`${file} was another one. It is kept as ${file}.before-recover`);
  }
  await writeFile(`${file}.new`, settings, { mode: 0o600 });
  await rename(`${file}.new`, file);
  say(`${file} is what it was at the last up`);
}

async function importState({ stack, state }: KeptState, env: NodeJS.ProcessEnv): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "budgie-state-"));
  try {
    const file = join(folder, "state.json");
    await writeFile(file, JSON.stringify(state), { mode: 0o600 });
    await askPulumi(env, ["stack", "import", "--stack", stack, "--file", file]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Beside the state there is the key that backups are signed with, for the time after a `destroy` (components/manifest-key.ts). The state has
 * it as well.
 */
async function putManifestKey({ stack, state }: KeptState, env: NodeJS.ProcessEnv): Promise<void> {
  const { PULUMI_BACKEND_URL: url } = env;
  if (url && !url.startsWith("file://")) return;
  const exported = JSON.parse(
    await askPulumi(env, ["stack", "export", "--stack", stack, "--show-secrets"]),
  ) as {
    deployment: { resources?: { urn: string; outputs?: { stdout?: { plaintext?: string } } }[] };
  };
  const command = exported.deployment.resources?.find(({ urn }) => urn.endsWith(MANIFEST_KEY));
  const plaintext = command?.outputs?.stdout?.plaintext;
  const folder = join(
    url ? url.slice("file://".length) : join(PROJECT_FOLDER, STATE_FOLDER),
    "manifest-keys",
  );
  const first = stackNameBefore(state.deployment as Deployment) ?? stack;
  if (plaintext === undefined || existsSync(join(folder, first))) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, `${first}.new`), `${String(JSON.parse(plaintext)).trim()}\n`, { mode: 0o600 });
  await rename(join(folder, `${first}.new`), join(folder, first));
}
