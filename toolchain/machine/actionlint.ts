import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { builtOnce, contentKey } from "./cache.ts";
import { goBuild } from "./go-build.ts";
import { step } from "./say.ts";

/**
 * The executable of the linter of GitHub's workflows. It is built from its sources: no package registry has it ready to
 * run.
 */
export async function actionlint(): Promise<string> {
  const sources = join(PROJECT_FOLDER, "toolchain", "actionlint");
  const folder = await builtOnce("actionlint", await contentKey([sources], process.arch), unfinished =>
    step("Building actionlint from its sources (half a minute)", () =>
      goBuild("actionlint", "github.com/rhysd/actionlint/cmd/actionlint", join(unfinished, "actionlint")),
    ),
  );
  return join(folder, "actionlint");
}
