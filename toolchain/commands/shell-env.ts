// Prints what a shell needs for plain `pulumi`, and nothing else, on standard output: eval "$(npm run -s shell-env)"
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { shellWord } from "../../shared/shell-word.ts";
import { shellVariables } from "../machine/environment.ts";
import { needsOf } from "../machine/needs.ts";
import { runMain } from "../machine/say.ts";

await runMain(async () => {
  const { PATH, ...others } = await shellVariables(await needsOf(PROJECT_FOLDER));
  const added = PATH?.slice(0, -(process.env.PATH ?? "").length);
  if (added) print("PATH", `${shellWord(added)}"$PATH"`);
  for (const [name, value] of Object.entries(others)) print(name, shellWord(value));
  return 0;
});

function print(name: string, value: string): void {
  process.stdout.write(`export ${name}=${value}\n`);
}
