import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import Docker from "dockerode";
import { build } from "esbuild";
import { runInContainer } from "../../scripts/run-in-container.ts";
import type { TestPostgres } from "./postgres.ts";

const IMAGE = "budgie-test-agent:latest";

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface TestAgent {
  container: Docker.Container;
  /** The backup directory on this machine. */
  directory: string;
  /** Runs `budgie-agent ARGS`. */
  run(args: readonly string[], stdin?: Buffer): Promise<CommandResult>;
  /** Runs any command in the agent's container. */
  exec(command: readonly string[]): Promise<CommandResult>;
  stop(): Promise<void>;
}

/** The agent in its own image, beside `postgres`, with a backup directory of its own. */
export async function startAgent(
  postgres: TestPostgres,
  options: { database: string; stack?: string; directory?: string; tmpfsBytes?: number },
): Promise<TestAgent> {
  const docker = new Docker();
  await buildImage(docker);
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "budgie-backups-")));
  const { NetworkSettings: network } = await postgres.container.inspect();
  const container = await docker.createContainer({
    Image: IMAGE,
    Labels: { "budgie.test": "true" },
    Env: [
      `PGHOST=${network.Networks.bridge?.IPAddress}`,
      `PGUSER=${postgres.user}`,
      `PGDATABASE=${options.database}`,
      "PGPASSFILE=/root/pgpass",
      `BUDGIE_STACK=${options.stack ?? "test"}`,
      "BUDGIE_BACKUP_DIR=/backups",
      "BUDGIE_BACKUP_DIR_SHOWN=./backups",
    ],
    HostConfig: {
      Init: true,
      CapDrop: ["ALL"],
      CapAdd: ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL"],
      ...(options.tmpfsBytes
        ? { Tmpfs: { "/backups": `size=${options.tmpfsBytes}` } }
        : { Binds: [`${directory}:/backups`] }),
    },
  });
  await container.start();
  const exec = (command: readonly string[], stdin?: Buffer) => collect(container, command, stdin);
  const written = await exec(
    ["sh", "-c", "umask 077; cat > /root/pgpass"],
    Buffer.from(`*:*:*:*:${postgres.password}\n`),
  );
  if (written.code !== 0) throw new Error(`the passfile could not be written: ${written.stderr}`);
  return {
    container,
    directory,
    exec,
    run: (args, stdin) => exec(["budgie-agent", ...args], stdin),
    stop: async () => {
      await container.remove({ force: true, v: true });
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function collect(
  container: Docker.Container,
  command: readonly string[],
  stdin?: Buffer,
): Promise<CommandResult> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const texts = Promise.all([buffer(out), buffer(err)]);
  const code = await runInContainer(container, command, {
    stdout: out,
    stderr: err,
    ...(stdin ? { stdin: Readable.from([stdin]) } : {}),
  });
  out.end();
  err.end();
  const [stdout, stderr] = await texts;
  return { code, stdout: stdout.toString(), stderr: stderr.toString() };
}

let built: Promise<void> | null = null;

function buildImage(docker: Docker): Promise<void> {
  built ??= buildImageNow(docker);
  return built;
}

async function buildImageNow(docker: Docker): Promise<void> {
  const context = join(tmpdir(), `budgie-agent-image-${randomBytes(4).toString("hex")}`);
  await mkdir(context);
  try {
    await build({
      entryPoints: ["agent/main.ts"],
      bundle: true,
      platform: "node",
      target: "node24",
      format: "cjs",
      outfile: join(context, "agent.cjs"),
      logLevel: "error",
    });
    const files = ["agent.cjs", "Dockerfile", "budgie-agent"];
    await copyFile("agent/Dockerfile", join(context, "Dockerfile"));
    await copyFile("agent/budgie-agent", join(context, "budgie-agent"));
    const stream = await docker.buildImage({ context, src: files }, { t: IMAGE });
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(stream, (error: Error | null, output: { error?: string }[]) => {
        const failure = error?.message ?? output.find(line => line.error)?.error;
        if (failure) reject(new Error(`the agent's image could not be built: ${failure}`));
        else resolve();
      });
    });
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}
