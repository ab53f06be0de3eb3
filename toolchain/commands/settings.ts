// npm run settings [-- --stack NAME]: the settings of a stack with their descriptions, which `pulumi config` leaves out.

import { execa } from "execa";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { previewEnvironment } from "../machine/environment.ts";
import { needsOf } from "../machine/needs.ts";
import { runMain, ToolchainError } from "../machine/say.ts";
import { declaredSettings } from "./declared-settings.ts";
import { type ShownConfig, settingsList } from "./settings-list.ts";

await runMain(async () => {
  const env = await previewEnvironment(await needsOf(PROJECT_FOLDER));
  const args = ["config", "--json", "--non-interactive", ...process.argv.slice(2)];
  const { failed, stdout, stderr } = await execa("pulumi", args, { cwd: PROJECT_FOLDER, env, reject: false });
  if (failed) throw new ToolchainError(`pulumi ${args.join(" ")} failed:\n${stderr}`);
  process.stdout.write(settingsList(declaredSettings(), JSON.parse(stdout) as ShownConfig));
  return 0;
});
