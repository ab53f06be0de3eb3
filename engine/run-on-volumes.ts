import { type Duplex, finished, type Readable } from "node:stream";
import type Docker from "dockerode";
import { LABEL } from "../shared/labels.ts";
import { attach } from "./attach.ts";
import { attachedOutput } from "./attached-output.ts";
import { unlessMissing } from "./unless-missing.ts";

export interface VolumeWork {
  /** Of the container that does the work: only one of that name can be at work at a time. */
  name: string;
  /** One that the engine has. */
  image: string;
  /** Each volume, and where the script finds it. All must be there: the engine would make an empty one. */
  volumes: { volume: string; path: string; readOnly?: true }[];
  /** Whether the script may write to the volumes that are not read-only. */
  writes: boolean;
  /**
   * Whether the script may run programs as the user postgres, with `gosu`, and write files of the container's own, which go with it.
   * @default false
   */
  asPostgres?: boolean | undefined;
  /** For `sh`. */
  script: string;
  /** Read by the script's shell; everybody who may call the engine can see it. */
  environment?: Record<string, string>;
  stdin?: Readable;
  /** Is waited for at each piece. Its error ends the work. */
  onOutput: (bytes: Buffer) => Promise<void> | void;
}

/** The container of that name runs: somebody else is at work on these volumes. */
export class VolumeWorkRuns extends Error {}

/** What it may do beside reading and writing its own files: all files of the volume, whoever owns them. */
const RIGHTS = ["CHOWN", "DAC_OVERRIDE", "FOWNER"];
const BECOME_ANOTHER = ["SETGID", "SETUID"];

/**
 * Runs a script in a short-lived container that sees these volumes and nothing else: no network, no other file of the machine, and its
 * own files read-only, unless it works as postgres. Returns its exit code and what it said of errors.
 *
 * A kill of this process leaves the container behind; the next work of the same name removes it. Its output goes to no log.
 */
export async function runOnVolumes(
  client: Docker,
  work: VolumeWork,
): Promise<{ code: number; stderr: string }> {
  const container = await makeContainer(client, work);
  try {
    const stream = await attach(client, container.id, { stdin: work.stdin !== undefined });
    await container.start();
    const stopFeeding = feed(work.stdin, stream);
    const errors: Buffer[] = [];
    try {
      for await (const { from, bytes } of attachedOutput(stream)) {
        if (from !== "stderr") await work.onOutput(bytes);
        else if (bytes.includes(FAILED)) stopFeeding();
        else errors.push(bytes);
      }
    } finally {
      stopFeeding();
      stream.destroy();
    }
    const { StatusCode: code } = (await container.wait()) as { StatusCode: number };
    return { code, stderr: Buffer.concat(errors).toString().trim() };
  } finally {
    // `v` removes the volumes without a name that the image asks for, and no other.
    await unlessMissing(container.remove({ force: true, v: true }));
  }
}

/** What no script says of errors. */
const FAILED = "\x1e";

/**
 * A script that fails reads its input to the end all the same: Podman ends the connection of one that does not, and with it what it
 * said. That it has failed is told at once, so that the end comes soon.
 */
function readingToTheEnd(script: string): string {
  return `(${script}
)
code=$?
[ $code = 0 ] || printf '\\036' >&2
cat > /dev/null
exit $code`;
}

/** Returns what ends it. Input that cannot be read ends as well; what it was good for is then found to be cut off. */
function feed(stdin: Readable | undefined, stream: Duplex): () => void {
  if (stdin === undefined) return () => undefined;
  const stop = () => {
    stdin.unpipe(stream);
    stdin.destroy();
    if (!stream.writableEnded) stream.end();
  };
  // Its end is what whoever reads the output sees.
  stream.on("error", () => undefined);
  stdin.pipe(stream);
  // Also of input that had failed before.
  finished(stdin, { writable: false }, stop);
  return stop;
}

async function makeContainer(client: Docker, work: VolumeWork): Promise<Docker.Container> {
  const left = client.getContainer(work.name);
  const state = (await unlessMissing(left.inspect()))?.State;
  if (state?.Running) throw new VolumeWorkRuns(`the container ${work.name} is at work`);
  if (state) await unlessMissing(left.remove({ force: true, v: true }));
  return client.createContainer({
    name: work.name,
    Labels: { [LABEL.volumeWork]: "true" },
    Image: work.image,
    User: "0",
    Entrypoint: ["sh", "-c", work.stdin ? readingToTheEnd(work.script) : work.script],
    Cmd: [],
    Env: Object.entries(work.environment ?? {}).map(([name, value]) => `${name}=${value}`),
    AttachStdin: work.stdin !== undefined,
    OpenStdin: work.stdin !== undefined,
    StdinOnce: work.stdin !== undefined,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      NetworkMode: "none",
      ReadonlyRootfs: !work.asPostgres,
      CapDrop: ["ALL"],
      CapAdd: work.asPostgres ? [...RIGHTS, ...BECOME_ANOTHER] : RIGHTS,
      LogConfig: { Type: "none", Config: {} },
      Binds: work.volumes.map(
        ({ volume, path, readOnly }) => `${volume}:${path}:${work.writes && !readOnly ? "rw" : "ro"},nocopy`,
      ),
    },
  });
}
