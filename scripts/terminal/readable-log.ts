import { Transform } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { z } from "zod";

/** What the agent and the API write; pino's numbers for levels are the API's. */
const entry = z.object({
  level: z.union([z.string(), z.number()]),
  time: z.union([z.string(), z.number()]),
  msg: z.string(),
  done: z.boolean().optional(),
  req: z.object({ method: z.string(), path: z.string() }).partial().optional(),
  res: z.object({ statusCode: z.number() }).partial().optional(),
  err: z.object({ message: z.string() }).partial().optional(),
});

const WARN = 40;

/** A line of a log as a person reads it. One that is no JSON object of ours stays as it is. */
export function readableLine(line: string): string {
  const { time: written, text } = parts(line);
  const found = entry.safeParse(json(text));
  if (!found.success) return line;
  const { level, time, msg, done, req, res, err } = found.data;
  const wrong = typeof level === "number" ? level >= WARN : !["trace", "debug", "info"].includes(level);
  const mark = wrong ? "!" : done ? "✓" : "i";
  const about = [req?.method, req?.path, res?.statusCode, err?.message].filter(part => part !== undefined);
  const more = about.length > 0 ? ` (${about.join(" ")})` : "";
  return `${written ?? new Date(time).toISOString()} [${mark}] ${msg}${more}`;
}

/** The engine puts the moment before each line, when asked to. */
function parts(line: string): { time: string | undefined; text: string } {
  const [, time, text] = /^(\d{4}-\d\d-\d\dT\S+) (\{.*)$/s.exec(line) ?? [];
  return { time, text: text ?? line };
}

function json(text: string): unknown {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The same for a stream, line by line. */
export function readableLines(): Transform {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  return new Transform({
    transform(chunk: Buffer, _encoding, next) {
      const lines = (rest + decoder.write(chunk)).split("\n");
      rest = lines.pop() ?? "";
      next(null, lines.map(line => `${readableLine(line)}\n`).join(""));
    },
    flush(next) {
      next(null, rest + decoder.end() === "" ? "" : readableLine(rest));
    },
  });
}
