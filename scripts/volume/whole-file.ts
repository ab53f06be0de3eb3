import { createHash } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { PassThrough, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { codeOf, isDiskFull, publishNew, syncDirectory } from "../../shared/file-systems.ts";

const AGAIN = "Then run the same command again.";

export interface Written {
  bytes: number;
  sha256: string;
}

/**
 * Writes what `fill` gives into the new file `to`, mode 0600. It is written beside its place, under a name of its own: a kill leaves
 * that, and never half a file under the name that was asked for. Throws a Stop where `to` is there, and what `fill` or `accept` throws;
 * `accept` is asked before the file gets its name. Nothing is left then.
 */
export async function writeWholeFile(
  to: string,
  fill: (out: Writable) => Promise<void>,
  accept: (written: Written) => void = () => undefined,
): Promise<Written> {
  const part = `${to}.part`;
  await requireFree(to);
  const file = await open(part, "wx", 0o600).catch(cannotWrite(part));
  try {
    const hash = createHash("sha256");
    const out = new PassThrough();
    let bytes = 0;
    const written = pipeline(out, async source => {
      for await (const piece of source as AsyncIterable<Buffer>) {
        hash.update(piece);
        bytes += piece.length;
        await file.writeFile(piece);
      }
    }).catch(cannotWrite(to));
    await Promise.all([fill(out).finally(() => out.end()), written]);
    await file.sync();
    await file.close();
    const whole = { bytes, sha256: hash.digest("hex") };
    accept(whole);
    await publishNew(part, to).catch(cannotWrite(to));
    await syncDirectory(dirname(to));
    return whole;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(part, { force: true });
    throw error;
  }
}

async function requireFree(to: string): Promise<void> {
  const there = await open(to, "r").catch(() => undefined);
  if (!there) return;
  await there.close();
  throw new Stop(EXIT.usage, `${to} is there already, and is not overwritten.`, "Name another place.");
}

function cannotWrite(path: string): (error: unknown) => never {
  return error => {
    const code = codeOf(error);
    // What went wrong before there was something to write says so itself.
    if (typeof code !== "string" || code === "") throw error;
    if (code === "EEXIST")
      throw new Stop(
        EXIT.busy,
        `${path} is there: another command writes it, or one was killed.`,
        `When none is at work, remove it: rm ${path}. ${AGAIN}`,
      );
    if (isDiskFull(error))
      throw new Stop(
        EXIT.noSpace,
        `There is no space left for ${path}. Nothing was kept.`,
        `Free some there, or name a place on another disk. ${AGAIN}`,
      );
    throw new Stop(
      EXIT.failed,
      `${path} could not be written: ${(error as Error).message}. Nothing was kept.`,
      "Name a place in a folder in which you may write.",
    );
  };
}
