import { execa } from "execa";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { ToolchainError } from "../machine/say.ts";

/** Runs a command of the CLI and gives what it prints. Throws what it says when it fails. */
export async function askPulumi(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<string> {
  const { stdout, stderr, failed } = await execa("pulumi", [...args, "--non-interactive"], {
    cwd: PROJECT_FOLDER,
    env,
    extendEnv: false,
    reject: false,
  });
  if (failed) throw new ToolchainError(`pulumi ${args.join(" ")} failed:\n${stderr}`);
  return stdout;
}
