import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { Readable, Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Response } from "undici";
import { isDiskFull } from "../../shared/file-systems.ts";
import { LONGEST_PAUSE_MS, PAUSES_MS, SILENCE_MS, TRIES } from "./patience.ts";
import { ToolchainError } from "./say.ts";
import { NoAnswer, noAnswer, request } from "./web.ts";

type Fault = "out of reach" | "refused" | "missing" | "limited" | "faulty" | "not whole";

/** Why a site did not give a file. The message says what happened, and not what to type next. */
export class SiteFailure extends ToolchainError {
  readonly fault: Fault;
  /** How long the site wants to be left alone. */
  readonly pauseMs: number | undefined;
  /** Whether another try may help. */
  readonly passing: boolean;

  constructor(
    fault: Fault,
    message: string,
    { pauseMs, passing = false }: { pauseMs?: number | undefined; passing?: boolean } = {},
  ) {
    super(message);
    [this.fault, this.pauseMs, this.passing] = [fault, pauseMs, passing];
  }
}

/**
 * Downloads a file. It appears under its name by one rename, when all of it is there: as many bytes as the site announced,
 * and with the checksum, where one is known. Throws a `SiteFailure`.
 */
export async function download(url: string, file: string, sha256?: string): Promise<void> {
  const unfinished = `${file}.unfinished`;
  await mkdir(dirname(file), { recursive: true });
  try {
    await persistently(async () => {
      const found = await write(await get(url), url, unfinished);
      if (sha256 && found !== sha256) {
        const says = `${hostOf(url)} gave a ${nameOf(url)} with another checksum (${found}) than the one that it publishes (${sha256})`;
        throw new SiteFailure("not whole", says, { passing: true });
      }
    });
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
  }
}

/** A small file, as text. */
export async function downloadText(url: string): Promise<string> {
  return persistently(async () => {
    const pieces: Buffer[] = [];
    const collect = new Writable({
      write(piece: Buffer, _, done) {
        pieces.push(piece);
        done();
      },
    });
    await read(await get(url), url, collect);
    return Buffer.concat(pieces).toString();
  });
}

/** Tries again what may pass, within bounds. */
async function persistently<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof SiteFailure)) throw error;
      const pause = error.pauseMs ?? PAUSES_MS[tried - 1] ?? 0;
      if (!error.passing || tried === TRIES || pause > LONGEST_PAUSE_MS) throw error;
      await sleep(pause);
    }
  }
}

async function get(url: string): Promise<Response> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new DOMException("", "TimeoutError")), SILENCE_MS);
  try {
    // Packed once more on its way, it would have another length than was announced.
    const headers = { "Accept-Encoding": "identity" };
    const answer = await request(url, { headers, signal: silence.signal });
    if (answer.ok) return answer;
    await answer.body?.cancel();
    throw refusal(url, answer);
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    throw new SiteFailure("out of reach", `${hostOf(url)} does not answer (${error.message})`, error);
  } finally {
    clearTimeout(timer);
  }
}

/** What an answer without the file means. */
export function refusal(url: string, { status, headers }: Response): SiteFailure {
  const [host, name] = [hostOf(url), nameOf(url)];
  const pauseMs = retryAfter(headers.get("retry-after"));
  if (status === 404 || status === 410)
    return new SiteFailure("missing", `${host} has no ${name} (${status})`);
  if (status === 429) {
    const until = pauseMs === undefined ? "" : `, until ${clock(pauseMs)}`;
    return new SiteFailure("limited", `${host} limits how often it is asked from here (429)${until}`, {
      pauseMs,
      passing: true,
    });
  }
  if (status >= 500) {
    const until = pauseMs === undefined ? "" : `; it expects to be well at ${clock(pauseMs)}`;
    return new SiteFailure("faulty", `${host} has a fault of its own (${status})${until}`, {
      pauseMs,
      passing: true,
    });
  }
  return new SiteFailure("refused", `${host} refuses ${name} (${status})`);
}

/** In milliseconds from now; the header gives seconds or a date. */
export function retryAfter(header: string | null, now = Date.now()): number | undefined {
  if (!header) return undefined;
  const [seconds, date] = [Number(header), Date.parse(header)];
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function clock(pauseMs: number): string {
  const minutes = Math.ceil(pauseMs / 60_000);
  const time = new Date(Date.now() + pauseMs).toISOString().slice(11, 16);
  return `${time} UTC (in ${minutes} ${minutes === 1 ? "minute" : "minutes"})`;
}

/** Gives the checksum of what was written. */
async function write(answer: Response, url: string, file: string): Promise<string> {
  try {
    return await read(answer, url, createWriteStream(file, { mode: 0o600 }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!isDiskFull(error)) throw error;
    throw new ToolchainError(
      `There is no space left for ${basename(file)} (${code}). Make room in ${dirname(file)} and run the same command again.`,
    );
  }
}

/** Reads all that was announced, and gives its checksum. What goes wrong in `sink` is thrown as it is. */
async function read(answer: Response, url: string, sink: Writable): Promise<string> {
  const announced = Number(answer.headers.get("content-length") ?? Number.NaN);
  const hash = createHash("sha256");
  let bytes = 0;
  const source = Readable.fromWeb(answer.body as never);
  // Each destroys the other with its own error: the first one is the cause.
  let first: { side: "source" | "sink"; error: Error } | undefined;
  source.on("error", error => {
    first ??= { side: "source", error };
  });
  sink.on("error", error => {
    first ??= { side: "sink", error };
  });
  const silent = () => source.destroy(new Error(`nothing more came for ${SILENCE_MS / 1000} s`));
  let timer = setTimeout(silent, SILENCE_MS);
  const watch = new Transform({
    transform(piece: Buffer, _, done) {
      bytes += piece.length;
      hash.update(piece);
      clearTimeout(timer);
      timer = setTimeout(silent, SILENCE_MS);
      done(null, piece);
    },
  });
  try {
    await pipeline(source, watch, sink);
  } catch (error) {
    if (first?.side !== "source") throw error;
  } finally {
    clearTimeout(timer);
  }
  if (!first && (Number.isNaN(announced) || bytes === announced)) return hash.digest("hex");
  const of = Number.isNaN(announced) ? "" : ` of ${megabytes(announced)}`;
  const why = first ? noAnswer(first.error).message : "it ended there";
  const says = `${hostOf(url)} broke off ${nameOf(url)} after ${megabytes(bytes)}${of} (${why})`;
  throw new SiteFailure("not whole", says, { passing: true });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function hostOf(url: string): string {
  return new URL(url).host;
}

function nameOf(url: string): string {
  return basename(new URL(url).pathname);
}
