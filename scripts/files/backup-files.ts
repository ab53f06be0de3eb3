import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { backupsVolumeName } from "../../shared/names.ts";
import type { Stack } from "../stack/stack-containers.ts";
import { askVolumes } from "../volume/volume-work.ts";

export interface Digest {
  bytes: number;
  sha256: string;
}

/** The files of a backup directory, of which the agent is gone. */
export interface BackupFiles {
  /** As messages name it. */
  shown: string;
  /** The text of every manifest and of every drill's record, by the file's name. */
  records(): Promise<Map<string, string>>;
  /** Reads a file to its end. Throws where that fails. */
  digest(file: string): Promise<Digest>;
}

const RECORD = /^budgie_\d{8}_\d{6}(\.drill)?\.json$/;

/** On this machine. */
export function inFolder(folder: string): BackupFiles {
  return {
    shown: folder,
    records: async () => {
      const names = (await readdir(folder)).filter(name => RECORD.test(name));
      // One that cannot be read proves nothing; the newest manifest must be readable, and whoever asks for it finds out.
      const texts = await Promise.all(
        names.map(name => readFile(join(folder, name), "utf8").catch(() => "")),
      );
      return new Map(names.map((name, index) => [name, texts[index] ?? ""]));
    },
    digest: async file => {
      const hash = createHash("sha256");
      let bytes = 0;
      await pipeline(createReadStream(join(folder, file)), async source => {
        for await (const piece of source as AsyncIterable<Buffer>) {
          hash.update(piece);
          bytes += piece.length;
        }
      });
      return { bytes, sha256: hash.digest("hex") };
    },
  };
}

/** No JSON holds it. */
const SEPARATOR = "\x1e";
const MOUNTED = "/backups";

/** In the volume that takes the folder's place where the engine is on another machine. */
export function inBackupsVolume(stack: Stack): BackupFiles {
  const volume = backupsVolumeName(stack.prefix);
  const ask = (script: string, environment: Record<string, string> = {}) =>
    askVolumes(stack, {
      volumes: [{ volume, path: MOUNTED, readOnly: true }],
      script: `cd ${MOUNTED} || exit\n${script}`,
      environment,
    });
  return {
    shown: `the volume ${volume}`,
    records: async () => {
      const text = await ask(
        `for file in budgie_*.json; do if [ -e "$file" ]; then printf '%s\\n' "$file"; cat "$file"; printf '\\036'; fi; done`,
      );
      const files = text.split(SEPARATOR).filter(Boolean);
      return new Map(
        files
          .map(file => [file.slice(0, file.indexOf("\n")), file.slice(file.indexOf("\n") + 1)] as const)
          .filter(([name]) => RECORD.test(name)),
      );
    },
    digest: async file => {
      const text = await ask(`sha256sum < "$FILE" && wc -c < "$FILE"`, { FILE: file });
      const [, sha256, bytes] = /^([0-9a-f]{64})\s+-\s+(\d+)\s*$/.exec(text) ?? [];
      if (!sha256 || !bytes) throw new Error(`${file} could not be read`);
      return { bytes: Number(bytes), sha256 };
    },
  };
}
