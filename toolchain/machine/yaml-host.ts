import { access } from "node:fs/promises";
import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { builtOnce, contentKey } from "./cache.ts";
import { goBuild } from "./go-build.ts";
import type { PulumiCli } from "./pulumi-cli.ts";
import { step } from "./say.ts";

const HOST = "pulumi-language-yaml";
const MODULE = "yaml-host";

/** The folder of Pulumi's language host for YAML programs: beside the CLI, where the official one has it, else built. */
export async function yamlHost({ folder }: Pick<PulumiCli, "folder">): Promise<string> {
  const there = await access(join(folder, HOST)).then(
    () => true,
    () => false,
  );
  if (there) return folder;
  const sources = [join(PROJECT_FOLDER, "toolchain", MODULE)];
  return builtOnce(MODULE, await contentKey(sources, process.arch), unfinished =>
    step("Building Pulumi's language host for YAML from its sources (about 5 minutes on two cores)", () =>
      goBuild(MODULE, "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml", join(unfinished, HOST)),
    ),
  );
}
