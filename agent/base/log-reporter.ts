import pino, { type DestinationStream } from "pino";
import { currentLogRun } from "./log-run.ts";
import { type Reporter, silentProgress } from "./reporter.ts";

/**
 * One JSON object a line: `level` (info or warn), `time` (ISO 8601, UTC), `stack`, `msg`, `done` where something was
 * accomplished, and `run` and `operation` in a run. A field that a reader does not know may be ignored.
 * @param out @default standard output, each line written before the next one begins: a kill loses none
 */
export function logReporter(
  stack: string,
  out: DestinationStream = pino.destination({ dest: 1, sync: true }),
): Reporter {
  const log = pino(
    {
      base: { stack },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: level => ({ level }) },
      mixin: () => ({ ...currentLogRun() }),
    },
    out,
  );
  return {
    info: text => log.info(text),
    done: text => log.info({ done: true }, text),
    warn: text => log.warn(text),
    progress: () => silentProgress,
  };
}
