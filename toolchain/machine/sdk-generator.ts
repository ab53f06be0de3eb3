import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { builtOnce, contentKey } from "./cache.ts";
import { goBuild } from "./go-build.ts";
import { step } from "./say.ts";

const MODULE = "sdk-generator";

/** The program that writes a package's SDK for Node.js, as the official language host does. Only tests want it. */
export async function sdkGenerator(): Promise<string> {
  const sources = [join(PROJECT_FOLDER, "toolchain", MODULE)];
  const folder = await builtOnce(MODULE, await contentKey(sources, process.arch), unfinished =>
    step("Building the generator of SDKs from its sources (about 3 minutes on two cores)", () =>
      goBuild(MODULE, ".", join(unfinished, MODULE)),
    ),
  );
  return join(folder, MODULE);
}
