import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * Removes attributes whose writing was cut off. A state in files has them beside each file, in `….json.attrs`: its
 * content type and its MD5. Pulumi replaces the file in one step, but writes the attributes in place. A kill at that
 * moment leaves them empty, and then Pulumi no longer reads the file, which is whole ("failed to load checkpoint: EOF").
 * Without attributes it does. So nothing is lost, even while an update of another stack writes them.
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
