import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { builtOnce, contentKey } from "./cache.ts";
import { goBuild } from "./go-build.ts";
import { step } from "./say.ts";

/** What the executable is built from; also part of what the stand-in image is made of. */
export const minioSources = join(PROJECT_FOLDER, "toolchain", "object-store");

/** MinIO's server, an executable, built from its sources: no package registry has it ready to run. */
export async function minioServer(): Promise<string> {
  const folder = await builtOnce("minio", await contentKey([minioSources], process.arch), unfinished =>
    step("Building MinIO from its sources (5 to 11 minutes on two cores)", () =>
      goBuild("object-store", "github.com/minio/minio", join(unfinished, "minio")),
    ),
  );
  return join(folder, "minio");
}
