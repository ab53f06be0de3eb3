// npm run settings [-- --stack NAME]: the settings of a stack with their descriptions, which `pulumi config` leaves out.
import { execa } from "execa";
import { declaredSettings } from "./declared-settings.ts";
import { previewEnvironment } from "./environment.ts";
import { projectFolder } from "./project.ts";
import { runMain, ToolchainError } from "./say.ts";
import { type ShownConfig, settingsList } from "./settings-list.ts";

await runMain(async () => {
  const env = await previewEnvironment();
  const args = ["config", "--json", "--non-interactive", ...process.argv.slice(2)];
  const { failed, stdout, stderr } = await execa("pulumi", args, { cwd: projectFolder, env, reject: false });
  if (failed) throw new ToolchainError(`pulumi ${args.join(" ")} failed:\n${stderr}`);
  process.stdout.write(settingsList(declaredSettings(), JSON.parse(stdout) as ShownConfig));
  return 0;
});
