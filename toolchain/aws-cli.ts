import { join } from "node:path";
import { builtOnce, contentKey } from "./cache.ts";
import { projectFolder } from "./project.ts";
import { runLogged } from "./run-tool.ts";
import { step } from "./say.ts";

const requirements = join(projectFolder, "toolchain", "aws-cli", "requirements.txt");

/** The command line of `aws`, up to its own options, which the bench compares with. Its packages come from PyPI, checked. */
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
