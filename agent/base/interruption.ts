import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { END_SIGNALS } from "../../shared/interruption.ts";

/**
 * Aborts at the first signal that tells this process to end, so that what is at work clears away what it has half done. A second
 * signal ends the process at once. Returns what undoes it.
 */
export function abortAtSignal(abort: AbortController): () => void {
  const end = (signal: NodeJS.Signals) => {
    forget();
    abort.abort(
      new Stop(EXIT.interrupted, `Stopped by ${signal}, before it was done.`, "Run the same command again."),
    );
  };
  const forget = () => {
    for (const signal of END_SIGNALS) process.off(signal, end);
  };
  for (const signal of END_SIGNALS) process.on(signal, end);
  return forget;
}

let heeded = false;

/** For a process of one command. The process that runs all the time gives an operation the time to end instead. */
export function heedSignals(): void {
  heeded = true;
}

/** From here on, in a process that heeds signals: what was asked for is done, and only has to be told. */
export function ignoreSignals(): void {
  if (heeded) for (const signal of END_SIGNALS) process.on(signal, () => undefined);
}

/** As `abortAtSignal`, in a process that heeds signals. */
export function abortAtHeededSignal(abort: AbortController): () => void {
  return heeded ? abortAtSignal(abort) : () => undefined;
}
