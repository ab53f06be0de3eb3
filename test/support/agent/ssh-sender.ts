import { createHash, randomBytes } from "node:crypto";
import { open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { manifestName } from "../../../agent/manifest/backup-name.ts";
import { type Manifest, parseManifest } from "../../../agent/manifest/manifest.ts";
import type { SshOutcome } from "../../../agent/ssh/send-missing.ts";
import { collectFromContainer } from "../../../engine/run-in-container.ts";
import { startPostgres } from "../servers/postgres.ts";
import { type CommandResult, startAgent, type TestAgent } from "./agent.ts";
import { writeSigned } from "./manifest-key.ts";

const PROGRAM = "/root/send-by-ssh.cjs";
const PID_FILE = "/root/send-by-ssh.pid";
const KEY_FILE = "/root/ssh-key";

/** What the stack's settings would say. */
export interface Target {
  host: string;
  port: number;
  user: string;
  /** Its path on the server. */
  folder: string;
  userKey: string;
  hostKey: string;
}

export type Sent = CommandResult & Partial<SshOutcome> & { peakMemoryBytes?: number };

export interface Sender {
  agent: TestAgent;
  /** Sends, from the agent's container, what is missing there; encrypted if there are recipients. */
  send(target: Target, recipients?: readonly string[]): Promise<Sent>;
  /** `budgie-agent push` of a stack with that server. */
  push(target: Target): Promise<CommandResult>;
  /** Kills that program with -9, and no other process of its container. */
  killSend(): Promise<void>;
  /** Takes a backup. */
  backup(): Promise<Manifest>;
  /** Puts a file of random bytes and a manifest that fits into the backup directory. */
  plant(bytes: number): Promise<Manifest>;
  manifest(file: string): Promise<Manifest>;
  /** Removes every backup here. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

/** A database, and an agent with the program `send-by-ssh.ts`. */
export async function startSender(): Promise<Sender> {
  const postgres = await startPostgres({ env: { POSTGRES_DB: "budgie_dev" } });
  const agent = await startAgent(postgres, { database: "budgie_dev" });
  await give(agent, PROGRAM, await bundleProgram());

  const manifest = async (file: string) => {
    const path = join(agent.directory, manifestName(file) ?? file);
    const reading = parseManifest(await readFile(path, "utf8"));
    if (!reading.found) throw new Error(`${path}: ${reading.detail}`);
    return reading.record;
  };
  const backup = async () => {
    const taken = await agent.run(["backup", "--json"]);
    if (taken.code !== 0) throw new Error(taken.stderr);
    return manifest(JSON.parse(taken.stdout).file);
  };
  const clear = async () => {
    for (const name of (await readdir(agent.directory)).filter(entry => /^budgie_/.test(entry))) {
      await rm(join(agent.directory, name));
    }
  };
  const model = await backup();
  await clear();
  let planted = 0;

  return {
    agent,
    backup,
    manifest,
    clear,
    send: async (target, recipients = []) => {
      await give(agent, KEY_FILE, target.userKey);
      const result = await agent.exec([
        "env",
        ...environment(target),
        `BUDGIE_BACKUP_RECIPIENTS=${recipients.join(" ")}`,
        "sh",
        "-c",
        `echo $$ > ${PID_FILE}; exec node ${PROGRAM}`,
      ]);
      return { ...result, ...(result.stdout ? JSON.parse(result.stdout) : {}) };
    },
    push: async target => {
      await give(agent, KEY_FILE, target.userKey);
      return agent.exec(["env", ...environment(target), "budgie-agent", "push"]);
    },
    killSend: async () => {
      const { code, stderr } = await agent.exec(["sh", "-c", `kill -9 $(cat ${PID_FILE})`]);
      if (code !== 0) throw new Error(`nothing was killed: ${stderr}`);
    },
    plant: async bytes => {
      const file = `budgie_20260101_${String(planted++).padStart(6, "0")}.sql`;
      const sha256 = await writeRandom(join(agent.directory, file), bytes);
      await writeSigned(join(agent.directory, manifestName(file) as string), {
        ...model,
        file,
        bytes,
        sha256,
        contentBytes: bytes,
        contentSha256: sha256,
        globals: null,
      });
      return manifest(file);
    },
    stop: async () => {
      await agent.stop();
      await postgres.stop();
    },
  };
}

/** How many bytes the half-written files in a folder hold together. */
export async function partialBytes(folder: string): Promise<number> {
  const names = (await readdir(folder).catch(() => [])).filter(name => name.startsWith(".partial-"));
  const sizes = names.map(name =>
    stat(join(folder, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

function environment({ user, host, port, folder, hostKey }: Target): string[] {
  return [
    `BUDGIE_SSH_TARGET=ssh://${user}@${host}:${port}${folder}`,
    `BUDGIE_SSH_KEY_FILE=${KEY_FILE}`,
    `BUDGIE_SSH_HOST_KEY=${hostKey}`,
  ];
}

async function give(agent: TestAgent, path: string, content: string | Uint8Array): Promise<void> {
  const command = ["sh", "-c", `umask 077; mkdir -p "$(dirname ${path})"; cat > ${path}`];
  const { code, stderr } = await collectFromContainer(agent.container, command, Buffer.from(content));
  if (code !== 0) throw new Error(`${path} could not be written into the agent: ${stderr}`);
}

async function bundleProgram(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: ["test/support/agent/send-by-ssh.ts"],
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    external: ["*.node", "cpu-features"],
    write: false,
    logLevel: "error",
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}

/** Repeats one random megabyte, with a counter in it. Returns the sha256. */
async function writeRandom(path: string, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  const piece = randomBytes(1 << 20);
  const file = await open(path, "w", 0o600);
  try {
    for (let written = 0; written < bytes; written += piece.length) {
      piece.writeUInt32BE(written >>> 0, 0);
      const chunk = piece.subarray(0, Math.min(piece.length, bytes - written));
      hash.update(chunk);
      await file.write(chunk);
    }
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}
