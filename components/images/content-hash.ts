import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import untypedDockerignore from "@balena/dockerignore";

/** The package is CommonJS and is the function itself; its types speak of a default export. */
const dockerignore = untypedDockerignore as unknown as typeof untypedDockerignore.default;

/**
 * A hash of what `docker build` would see in a folder: paths, contents, executable bits and link targets of everything
 * that the folder's .dockerignore (or the Dockerfile's own, `<dockerfile>.dockerignore`) lets through. Times and owners are
 * not in it: two clones of one commit hash the same.
 */
export function contextHash(folder: string, dockerfile = "Dockerfile"): string {
  const ignored = dockerignore().add(ignoreRules(folder, dockerfile));
  // The builder is sent these two whatever the rules say.
  const always = new Set([dockerfile, ".dockerignore"]);
  const hash = createHash("sha256");
  for (const path of files(folder)) {
    if (always.has(path) || !ignored.ignores(path)) hash.update(entry(folder, path));
  }
  return hash.digest("hex");
}

function ignoreRules(folder: string, dockerfile: string): string {
  for (const name of [`${dockerfile}.dockerignore`, ".dockerignore"]) {
    try {
      return readFileSync(join(folder, name), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return "";
}

/** Every file and link, in an order that does not depend on the file system. */
function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(item => !item.isDirectory())
    .map(item => join(item.parentPath, item.name).slice(folder.length + 1))
    .sort();
}

function entry(folder: string, path: string): string {
  const file = join(folder, path);
  const status = lstatSync(file);
  const content = status.isSymbolicLink()
    ? `link ${readlinkSync(file)}`
    : status.isFile()
      ? `${status.mode & 0o100 ? "program" : "file"} ${createHash("sha256").update(readFileSync(file)).digest("hex")}`
      : "special";
  return `${path}\0${content}\n`;
}
