import { join } from "node:path";
import { builtOnce, contentKey } from "./cache.ts";
import { goBuild } from "./go-build.ts";
import { projectFolder } from "./project.ts";
import { step } from "./say.ts";

/** The linter of GitHub's workflows, an executable, built from its sources: no package registry has it ready to run. */
export async function actionlint(): Promise<string> {
  const sources = join(projectFolder, "toolchain", "actionlint");
  const folder = await builtOnce("actionlint", await contentKey([sources], process.arch), unfinished =>
    step("Building actionlint from its sources (half a minute)", () =>
      goBuild("actionlint", "github.com/rhysd/actionlint/cmd/actionlint", join(unfinished, "actionlint")),
    ),
  );
  return join(folder, "actionlint");
}
