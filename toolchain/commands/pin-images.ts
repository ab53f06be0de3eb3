// npm run pin-images [FILE]: writes the digest that each image's tag has now into images/Dockerfile.

import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { IMAGES_FILE, imagesIn, withDigests } from "../../components/images/pinned-images.ts";
import { spelling } from "../../engine/differences.ts";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { registryDigest } from "../machine/registry-digest.ts";
import { runMain, say, sayDone, ToolchainError } from "../machine/say.ts";

await runMain(async () => {
  const [given] = process.argv.slice(2);
  const file = given ?? join(PROJECT_FOLDER, IMAGES_FILE);
  const shown = given ?? IMAGES_FILE;
  const text = await readFile(file, "utf8");
  const images = imagesIn(text);
  const digests = new Map<string, string>();
  for (const { name, digest } of images) {
    const found = await registryDigest(spelling("podman").image(name)).catch((error: Error) => {
      throw new ToolchainError(
        `No digest for ${name} (${error.message}). ${shown} is as it was. Run the same command where the registry answers.`,
      );
    });
    digests.set(name, found);
    say(`${name} is ${found}${found === digest ? ", as before" : ""}`);
  }
  // All of them or none: a file with half its pins renewed would be a stack that nobody has tried.
  await writeFile(`${file}.new`, withDigests(text, digests));
  await rename(`${file}.new`, file);
  sayDone(`${shown} pins ${images.length} images. npm run up uses them; look at the change, then commit it.`);
  return 0;
});
