import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { builtOnce, contentKey } from "./cache.ts";
import { runLogged } from "./run-tool.ts";
import { step } from "./say.ts";

const requirements = join(PROJECT_FOLDER, "toolchain", "aws-cli", "requirements.txt");

/** How `aws` is started, without its own options: the bench compares with it. Its packages come from PyPI, checked. */
export async function awsCli(): Promise<[string, ...string[]]> {
  const folder = await builtOnce("aws-cli", await contentKey([requirements], process.arch), unfinished =>
    step("Installing the AWS CLI, to compare with", async () => {
      await runLogged("aws-cli", "python3", ["-m", "venv", unfinished]);
      const pip = ["-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-compile"];
      await runLogged("aws-cli", join(unfinished, "bin", "python"), [...pip, "-r", requirements]);
    }),
  );
  return [join(folder, "bin", "python"), "-m", "awscli"];
}
