import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { readFromContainer } from "../../engine/run-in-container.ts";
import { LABEL } from "../../shared/labels.ts";
import { containerOf, type Stack } from "../stack/stack-containers.ts";

/**
 * The bytes of a backup: out of the backup directory where that is on this machine, else out of the agent's container, as when the
 * engine is on another. The stream fails where the file cannot be read to its end.
 */
export function backupStream(stack: Stack, file: string): Readable {
  const { container, labels } = containerOf(stack, "backup-agent");
  const path = join(labels[LABEL.backupDir] ?? "", file);
  if (existsSync(path)) return createReadStream(path);
  const out = new PassThrough();
  readFromContainer(container, ["cat", "--", `/backups/${file}`], out).then(
    ({ code, stderr }) =>
      code === 0 ? out.end() : out.destroy(new Error(stderr.trim() || `cat ended with ${code}`)),
    (error: Error) => out.destroy(error),
  );
  return out;
}
