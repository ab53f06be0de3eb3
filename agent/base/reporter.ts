import cliProgress from "cli-progress";

/** How a command speaks: lines for people, one JSON value for machines. */
export interface Reporter {
  info(text: string): void;
  done(text: string): void;
  warn(text: string): void;
  /** A bar on a terminal, once the work has taken two seconds; nothing elsewhere. */
  progress(label: string, totalBytes: number | null): Progress;
}

export interface Progress {
  at(bytes: number): void;
  end(): void;
}

const BAR_AFTER_MS = 2000;

/** With `json`, the lines go to standard error so that standard output holds the JSON value alone. */
export function terminalReporter(json: boolean): Reporter {
  const out = json ? process.stderr : process.stdout;
  const say = (mark: string) => (text: string) => void out.write(`[${mark}] ${text}\n`);
  return {
    info: say("i"),
    done: say("✓"),
    warn: say("!"),
    progress: (label, totalBytes) => (out.isTTY ? terminalProgress(out, label, totalBytes) : silentProgress),
  };
}

/** The same lines without a bar: for work that goes on beside other work that has one. */
export function withoutProgress(report: Reporter): Reporter {
  return { ...report, progress: () => silentProgress };
}

export const silentProgress: Progress = { at: () => undefined, end: () => undefined };

function terminalProgress(stream: NodeJS.WriteStream, label: string, totalBytes: number | null): Progress {
  const startedAt = Date.now();
  const mb = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);
  let bar: cliProgress.SingleBar | null = null;
  return {
    at(bytes) {
      const seconds = (Date.now() - startedAt) / 1000;
      const rate = seconds > 0 ? mb(bytes / seconds) : "0";
      if (!bar && Date.now() - startedAt >= BAR_AFTER_MS) {
        const size =
          totalBytes === null ? "{done} MB" : "{bar} {percentage}% of {size} MB, {eta_formatted} left";
        bar = new cliProgress.SingleBar(
          { format: `    ${label} ${size}, {rate} MB/s`, stream, hideCursor: true, clearOnComplete: true },
          cliProgress.Presets.shades_classic,
        );
        bar.start(totalBytes ?? bytes, bytes, { done: mb(bytes), size: mb(totalBytes ?? 0), rate });
      }
      bar?.update(Math.min(bytes, totalBytes ?? bytes), { done: mb(bytes), rate });
    },
    end() {
      bar?.stop();
    },
  };
}

/** `12K`, `3.4M`, `1.2G`: as `du -h` shows a size, which Budgie's operators know from their backup script. */
export function humanSize(bytes: number): string {
  const units = ["B", "K", "M", "G", "T"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${value.toFixed(digits).replace(/\.0$/, "")}${units[unit]}`;
}
