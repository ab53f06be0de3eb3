import type { Writable } from "node:stream";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { describeEnd, type RunAs, startFilter } from "../base/child-process.ts";
import { psqlArguments } from "../dump/pg-dump.ts";
import { newMark, printMark } from "./program-marks.ts";

/** A psql that reads tables out, one after the other. */
export interface RowReader {
  /** Gives out what `COPY … TO STDOUT` prints, as it comes. `copy` is in the encoding of the session. */
  rows(copy: Buffer): AsyncGenerator<Buffer>;
  /** What it reads behind a `COPY … FROM STDIN`. Once it has ended, it takes nothing, and the next `rows` says why. */
  feed(bytes: Buffer): Promise<void>;
  /** Ends it. */
  end(): Promise<void>;
}

/**
 * Starts one, for a comparison where `failed` says nothing else. Node's own clients take each row by itself, which costs more than the
 * server's work.
 */
export function startRowReader(
  database: string,
  client: RunAs,
  signal: AbortSignal,
  failed: (how: string) => Stop = notReadAgain,
): RowReader {
  const { process, input, output, finished } = startFilter(
    "psql",
    psqlArguments(database, "budgie compare"),
    signal,
    client,
  );
  input.on("error", () => undefined);
  const mark = newMark();
  const parts = output[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let left: Buffer = Buffer.alloc(0);
  let asked = 0;
  const broken = async (): Promise<Error> => {
    const end = await finished;
    signal.throwIfAborted();
    return failed(describeEnd(end));
  };
  return {
    feed: bytes => write(input, bytes),
    async *rows(copy) {
      const number = asked++;
      await write(input, Buffer.concat([copy, Buffer.from(`\n${printMark(mark, number)}\n`)]));
      const wanted = Buffer.from(`${mark} ${number}\n`);
      for (;;) {
        const at = left.indexOf(wanted);
        if (at >= 0) {
          if (at > 0) yield left.subarray(0, at);
          left = left.subarray(at + wanted.length);
          return;
        }
        // The mark may have come in part.
        const sure = Math.max(0, left.length - wanted.length);
        if (sure > 0) yield left.subarray(0, sure);
        left = left.subarray(sure);
        const next = await parts.next();
        if (next.done) throw await broken();
        left = left.length === 0 ? next.value : Buffer.concat([left, next.value]);
      }
    },
    async end() {
      input.end();
      const timer = setTimeout(() => process.kill("SIGKILL"), 10_000);
      await finished;
      clearTimeout(timer);
    },
  };
}

function notReadAgain(how: string): Stop {
  return new Stop(
    EXIT.failed,
    `What was loaded could not be read again; psql ended with ${how}.`,
    "Run the same command again.",
  );
}

function write(sink: Writable, bytes: Buffer): Promise<void> {
  return new Promise(resolve => {
    // When it takes no more, it has ended, and its end says why.
    sink.write(bytes, () => resolve());
  });
}
