import { createHash, randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import Docker from "dockerode";
import { build } from "esbuild";
import { AGENT_FILES } from "../../../components/images/agent-files.ts";
import { collectFromContainer, runInContainer } from "../../../engine/run-in-container.ts";
import { DEFAULT_DATABASE_IMAGE } from "../../../shared/database-image.ts";
import { placeInNetwork } from "../servers/container-address.ts";
import { TEST_IMAGE } from "../servers/major.ts";
import type { TestPostgres } from "../servers/postgres.ts";
import { AGENT_ENVIRONMENT } from "./environment.ts";
import { TEST_KEY } from "./manifest-key.ts";

/** The folder in which the agent finds the store's credentials and the stack's key. */
const SECRETS = "/run/store-secrets";
const WRITER = "s3-writer.json";
const MANIFEST_KEY = "manifest-key";

/** What the engine says of a command that SIGKILL ended. */
export const KILLED = 137;

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * When a test kills: once the output holds a text, after some time, once a half-written file has grown, once there is a file in the
 * backup directory (a pattern of the shell's), once a shell's condition holds in the agent's container, or after a promise.
 */
export type KillMoment =
  | { afterText: string }
  | { afterMs: number }
  | { whenPartialHolds: number }
  | { whenThere: string }
  | { when: string }
  | { after: Promise<unknown> };

export interface StartedCommand {
  /** Resolves once its standard output holds this text. */
  said(text: string): Promise<void>;
  result: Promise<CommandResult>;
}

export interface TestAgent {
  container: Docker.Container;
  /** The backup directory on this machine. */
  directory: string;
  /** Runs `budgie-agent ARGS`. */
  run(args: readonly string[], stdin?: Buffer): Promise<CommandResult>;
  /** Starts `budgie-agent ARGS`. */
  start(args: readonly string[]): StartedCommand;
  /**
   * Runs `budgie-agent ARGS`, and kills it (-9, its children left to themselves) when `moment` is over. `held`: its standard input has no
   * end, as of a command that would else end by itself before the kill.
   */
  killed(args: readonly string[], moment: KillMoment, stdin?: Buffer | "held"): Promise<CommandResult>;
  /** Runs `budgie-agent ARGS` with credentials that may read the bucket. */
  runAsReader(args: readonly string[], reader: StoreCredentials): Promise<CommandResult>;
  /** Gives the agent credentials that may read, for one command; returns what to name with --reader. */
  keepReader(reader: StoreCredentials): Promise<string>;
  /** Gives the agent the private key for one command; returns what to name with --identity. */
  keepIdentity(identity: Buffer): Promise<string>;
  /** From now on the agent has these credentials to send with. */
  giveWriter(writer: StoreCredentials): Promise<void>;
  /** Empties the backup directory, hidden files and records included. */
  clear(): Promise<void>;
  /** Runs any command in the agent's container. */
  exec(command: readonly string[]): Promise<CommandResult>;
  stop(): Promise<void>;
}

/** The bucket that the agent sends its backups to. */
export interface AgentStore {
  kind?: "aws" | "s3" | "local";
  endpoint: string;
  bucket: string;
  writer: StoreCredentials;
  lacks?: string[];
}

export interface StoreCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** What a stack's agent may have with the default settings. */
const MEMORY_BYTES = 1536 * 2 ** 20;

/** The agent in its own image, beside `postgres`, with a backup directory of its own. */
export async function startAgent(
  postgres: TestPostgres,
  options: {
    database: string;
    stack?: string;
    directory?: string;
    tmpfsBytes?: number;
    /** How much a throw-away server may use; unlimited when left out. */
    throwawayBytes?: number;
    store?: AgentStore;
    /** Whether it serves although it has a store. It then sends by itself. */
    serves?: true;
    /** What the stack signs with. Another stack needs another key. */
    manifestKey?: string;
    /** `BUDGIE_…`, as the stack sets them. */
    environment?: Record<string, string>;
    /** More of this machine's folders, as `FOLDER:PATH:ro`. */
    binds?: readonly string[];
    /** Labels by which the operator's commands find it. */
    labels?: Record<string, string>;
  },
): Promise<TestAgent> {
  const docker = new Docker();
  const image = await buildImage(docker);
  const secrets = await mkdtemp(join(tmpdir(), "budgie-secrets-"));
  const giveWriter = async (writer: StoreCredentials) => {
    const file = join(secrets, WRITER);
    await rm(file, { force: true });
    await writeFile(file, JSON.stringify(writer), { mode: 0o400 });
  };
  await writeFile(join(secrets, MANIFEST_KEY), options.manifestKey ?? TEST_KEY, { mode: 0o400 });
  if (options.store) await giveWriter(options.store.writer);
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "budgie-backups-")));
  const { address } = await placeInNetwork(postgres.container);
  const container = await docker.createContainer({
    Image: image,
    // An agent that sends by itself would interfere with what a test sends. `killed(["serve"], …)` lets one do so.
    ...(options.store && !options.serves ? { Cmd: ["sleep", "infinity"] } : {}),
    Labels: { "budgie.test": "true", ...options.labels },
    Env: Object.entries({
      ...AGENT_ENVIRONMENT,
      PGHOST: address,
      PGUSER: postgres.user,
      PGDATABASE: options.database,
      PGPASSFILE: "/root/pgpass",
      BUDGIE_STACK: options.stack ?? "test",
      BUDGIE_MANIFEST_KEY_FILE: `${SECRETS}/${MANIFEST_KEY}`,
      ...options.environment,
      ...(options.store ? storeEnvironment(options.store, options.stack ?? "test") : {}),
    }).map(([name, value]) => `${name}=${value}`),
    HostConfig: {
      Init: true,
      // As in a stack: no test may need more.
      Memory: MEMORY_BYTES,
      MemorySwap: MEMORY_BYTES,
      CapDrop: ["ALL"],
      CapAdd: ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL"],
      Binds: [
        `${secrets}:${SECRETS}:ro`,
        ...(options.binds ?? []),
        ...(options.tmpfsBytes === undefined ? [`${directory}:/backups`] : []),
      ],
      Tmpfs: {
        ...(options.tmpfsBytes === undefined ? {} : { "/backups": `size=${options.tmpfsBytes}` }),
        ...(options.throwawayBytes === undefined
          ? {}
          : { "/var/lib/postgresql/data": `size=${options.throwawayBytes}` }),
      },
    },
  });
  await container.start();
  const exec = (command: readonly string[], stdin?: Buffer) =>
    collectFromContainer(container, command, stdin);
  const written = await exec(
    ["sh", "-c", "umask 077; cat > /root/pgpass"],
    Buffer.from(`*:*:*:*:${postgres.password}\n`),
  );
  if (written.code !== 0) throw new Error(`the passfile could not be written: ${written.stderr}`);
  const keepReader = async (reader: StoreCredentials) => {
    const kept = await exec(["budgie-agent", "keep-reader"], Buffer.from(JSON.stringify(reader)));
    if (kept.code !== 0) throw new Error(`the reader was not kept: ${kept.stderr}`);
    return kept.stdout.trim();
  };
  const keepIdentity = async (identity: Buffer) => {
    const kept = await exec(["budgie-agent", "keep-identity"], identity);
    if (kept.code !== 0) throw new Error(`the identity was not kept: ${kept.stderr}`);
    return kept.stdout.trim();
  };
  return {
    container,
    directory,
    exec,
    keepIdentity,
    start: args => start(container, args),
    killed: (args, moment, stdin) => runAndKill(container, args, moment, stdin),
    run: (args, stdin) => exec(["budgie-agent", ...args], stdin),
    giveWriter,
    clear: async () => {
      const { code, stderr } = await exec(["sh", "-c", "rm -rf /backups/* /backups/.[!.]* /records/*"]);
      if (code !== 0) throw new Error(`the backup directory could not be emptied: ${stderr}`);
    },
    keepReader,
    runAsReader: async (args, reader) =>
      exec(["budgie-agent", ...args, "--reader", await keepReader(reader)]),
    stop: async () => {
      await container.remove({ force: true, v: true });
      await rm(secrets, { recursive: true, force: true });
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function storeEnvironment(store: AgentStore, stack: string): Record<string, string> {
  return {
    BUDGIE_OFFSITE: store.kind ?? "s3",
    BUDGIE_S3_BUCKET: store.bucket,
    BUDGIE_S3_PREFIX: `${stack}/`,
    BUDGIE_S3_REGION: "us-east-1",
    BUDGIE_S3_ENDPOINT: store.endpoint,
    BUDGIE_S3_PATH_STYLE: "true",
    BUDGIE_S3_LACKS: JSON.stringify(store.lacks ?? []),
    BUDGIE_S3_WRITER_FILE: `${SECRETS}/${WRITER}`,
  };
}

function start(
  container: Docker.Container,
  args: readonly string[],
  stdin?: Buffer | "held",
): StartedCommand {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const texts = Promise.all([buffer(out), buffer(err)]);
  const listeners: { text: string; heard: () => void }[] = [];
  let seen = "";
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, next) {
      out.write(chunk);
      seen += chunk.toString();
      for (const { text, heard } of listeners) if (seen.includes(text)) heard();
      next();
    },
  });
  const end = async () => {
    const code = await runInContainer(container, ["budgie-agent", ...args], {
      stdout,
      stderr: err,
      ...(stdin
        ? { stdin: stdin === "held" ? new Readable({ read: () => undefined }) : Readable.from([stdin]) }
        : {}),
    });
    out.end();
    err.end();
    const [stdoutText, stderrText] = await texts;
    return { code, stdout: stdoutText.toString(), stderr: stderrText.toString() };
  };
  return {
    said: text =>
      new Promise(heard => {
        if (seen.includes(text)) heard();
        listeners.push({ text, heard });
      }),
    result: end(),
  };
}

async function runAndKill(
  container: Docker.Container,
  args: readonly string[],
  moment: KillMoment,
  stdin?: Buffer | "held",
): Promise<CommandResult> {
  const kill = once(() => collectFromContainer(container, ["sh", "-c", killScript(args)]));
  const condition = conditionOf(moment);
  const watching = condition ? killWhen(container, args, condition) : null;
  const started = start(container, args, stdin);
  if ("afterText" in moment) void started.said(moment.afterText).then(kill);
  if ("after" in moment) void moment.after.then(kill);
  const timer = "afterMs" in moment ? setTimeout(kill, moment.afterMs) : null;
  const result = await started.result;
  if (timer) clearTimeout(timer);
  await watching;
  return result;
}

/** What a shell in the agent's container can wait for. */
function conditionOf(moment: KillMoment): string | null {
  if ("when" in moment) return moment.when;
  if ("whenThere" in moment) return `ls /backups/${moment.whenThere} >/dev/null 2>&1`;
  if (!("whenPartialHolds" in moment)) return null;
  return `[ "$(cat /backups/.partial-* 2>/dev/null | wc -c)" -ge ${moment.whenPartialHolds} ]`;
}

/** The bracket keeps the pattern from matching the shell that looks for it. */
function killScript(args: readonly string[]): string {
  return `
    for process in /proc/[0-9]*; do
      if tr '\\0' ' ' < $process/cmdline 2>/dev/null | grep -q '[a]gent.cjs ${args.join(" ")}'; then kill -9 \${process#/proc/}; fi
    done`;
}

/** Runs inside the container: a call through the engine takes longer than a small backup. */
function killWhen(
  container: Docker.Container,
  args: readonly string[],
  condition: string,
): Promise<CommandResult> {
  const script = `
    tries=0
    until ${condition}; do
      tries=$((tries + 1)); [ $tries -lt 20000 ] || exit 1
    done
    ${killScript(args)}`;
  return collectFromContainer(container, ["timeout", "30", "sh", "-c", script]);
}

function once(work: () => Promise<unknown>): () => Promise<unknown> {
  let started: Promise<unknown> | null = null;
  return () => {
    started ??= work();
    return started;
  };
}

let built: Promise<string> | null = null;

function buildImage(docker: Docker): Promise<string> {
  built ??= buildImageNow(docker);
  return built;
}

/** Named by its content: tests of another checkout may run on this engine at the same time. */
async function buildImageNow(docker: Docker): Promise<string> {
  const context = join(tmpdir(), `budgie-agent-image-${randomBytes(4).toString("hex")}`);
  await mkdir(context);
  try {
    await build({
      entryPoints: ["agent/main.ts"],
      bundle: true,
      platform: "node",
      target: "node24",
      format: "cjs",
      external: ["*.node", "cpu-features"],
      outfile: join(context, "agent.cjs"),
      logLevel: "error",
    });
    for (const file of AGENT_FILES) await copyFile(file, join(context, basename(file)));
    const dockerfile = await readFile("agent/Dockerfile", "utf8");
    await writeFile(join(context, "Dockerfile"), dockerfile.replace(DEFAULT_DATABASE_IMAGE, TEST_IMAGE));
    const files = ["agent.cjs", ...AGENT_FILES.map(file => basename(file))];
    const content = createHash("sha256");
    for (const file of files) content.update(await readFile(join(context, file)));
    const image = `budgie-test-agent:${content.digest("hex").slice(0, 12)}`;
    const stream = await docker.buildImage({ context, src: files }, { t: image });
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(stream, (error: Error | null, output: { error?: string }[]) => {
        const failure = error?.message ?? output.find(line => line.error)?.error;
        if (failure) reject(new Error(`the agent's image could not be built: ${failure}`));
        else resolve();
      });
    });
    return image;
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}
