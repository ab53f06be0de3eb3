import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * Removes the attributes whose writing was cut off. A state of files has them beside each file, `….json.attrs`: its content
 * type and its MD5. Pulumi replaces the file in one step, but writes these in place; a kill in that moment leaves them empty,
 * and then Pulumi reads the file no more, which is whole ("failed to load checkpoint: EOF"). It reads one without attributes.
 * So nothing is lost by it, even while an update of another stack writes them.
 */
export async function removeCutOffAttributes(stateRoot: string): Promise<void> {
  const files = await readdir(join(stateRoot, ".pulumi"), { recursive: true, withFileTypes: true });
  const attributes = files.filter(file => file.isFile() && file.name.endsWith(".attrs"));
  await Promise.all(
    attributes.map(async ({ parentPath, name }) => {
      const path = join(parentPath, name);
      if (!(await isJson(path))) await rm(path, { force: true });
    }),
  );
}

async function isJson(path: string): Promise<boolean> {
  const text = await readFile(path, "utf8");
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
