// npm run preview:comment -- [--stack NAME]: what `pulumi up` would do and what that means for the data, as Markdown on
// standard output. Needs no container engine. Ends with 1 when the preview failed or data would be deleted.

import { basename, join } from "node:path";
import { Command } from "commander";
import { execa } from "execa";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { previewEnvironment } from "../machine/environment.ts";
import { STACK } from "../machine/local-state.ts";
import { runMain, ToolchainError } from "../machine/say.ts";
import { dataOutlook } from "./preview-data.ts";
import { readPreview } from "./preview-json.ts";
import { previewMarkdown } from "./preview-markdown.ts";
import { withoutSalt } from "./stack-file.ts";

await runMain(async () => {
  const { stack } = new Command("npm run preview:comment --")
    .option("--stack <name>", "the stack to preview", STACK)
    .parse()
    .opts<{ stack: string }>();
  const preview = readPreview(await previewJson(stack));
  process.stdout.write(previewMarkdown(stack, preview));
  return preview.errors.length > 0 || dataOutlook(preview.changes).losses.length > 0 ? 1 : 0;
});

/** Throws when there is no preview, as opposed to one that failed, which says why in its own words. */
async function previewJson(stack: string): Promise<string> {
  const args = ["preview", "--json", "--show-sames", "--non-interactive", "--stack", stack];
  const env = await previewEnvironment();
  const stackFile = join(PROJECT_FOLDER, `Pulumi.${basename(stack)}.yaml`);
  return withoutSalt([stackFile], async () => {
    const { stdout, stderr } = await execa("pulumi", args, {
      cwd: PROJECT_FOLDER,
      env,
      extendEnv: false,
      stdin: "ignore",
      reject: false,
    });
    if (stdout.trim() !== "") return stdout;
    throw new ToolchainError(`${stderr.trim() || "`pulumi preview` printed nothing."}${next(stack, stderr)}`);
  });
}

function next(stack: string, stderr: string): string {
  return /no stack named/.test(stderr) ? `\n    Make it: npm run pulumi -- stack init ${stack}` : "";
}
