import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { builtOnce, contentKey } from "./cache.ts";
import { goBuild } from "./go-build.ts";
import { step } from "./say.ts";

const SOURCES = join(PROJECT_FOLDER, "toolchain", "prometheus");
/** Targets are named in its configuration here. The clients of forty clouds would be most of the program. */
const WITHOUT_CLOUDS = ["remove_all_sd"];

/** The executables of Prometheus and its promtool, built from their sources: no package registry has them ready to run. */
export async function prometheus(): Promise<{ server: string; promtool: string }> {
  const folder = await builtOnce("prometheus", await contentKey([SOURCES], process.arch), unfinished =>
    step("Building Prometheus from its sources (5 minutes on two cores)", async () => {
      for (const name of ["prometheus", "promtool"]) {
        const target = `github.com/prometheus/prometheus/cmd/${name}`;
        await goBuild("prometheus", target, join(unfinished, name), {}, WITHOUT_CLOUDS);
      }
    }),
  );
  return { server: join(folder, "prometheus"), promtool: join(folder, "promtool") };
}
