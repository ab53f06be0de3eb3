import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { PROJECT_FOLDER } from "../../../shared/project-folder.ts";

/** As Pulumi hands it over: every setting by its full name. */
export interface ProgramConfiguration {
  stack: string;
  values: Record<string, string>;
  secretNames: string[];
}

/** How a preview ended: with a number of declared resources, with a refusal, or with a crash that no operator should see. */
export type Outcome = { resources: number } | { refusal: string } | { crash: string };

const SCRIPT = fileURLToPath(new URL("./preview-settings.ts", import.meta.url));

/**
 * Previews the real program once for each configuration, in `workers` processes, as on a machine with neither an engine nor
 * credentials. The outcomes have the order of the configurations.
 */
export async function previewMany(
  configurations: readonly ProgramConfiguration[],
  workers = 2,
): Promise<Outcome[]> {
  const outcomes = new Array<Outcome>(configurations.length);
  const known = Object.entries(process.env).filter(([name]) => !/^(AWS|DOCKER|PULUMI|VITEST)_?/.test(name));
  const env = {
    ...Object.fromEntries(known),
    DOCKER_HOST: "unix:///nonexistent/engine.sock",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_CONFIG_FILE: "/nonexistent",
    AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
  };
  await Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      const own = [...configurations.keys()].filter(index => index % workers === worker);
      const { stdout } = await execa("node", ["--import", "tsx", SCRIPT], {
        cwd: PROJECT_FOLDER,
        env,
        extendEnv: false,
        input: own.map(index => `${JSON.stringify(configurations[index])}\n`).join(""),
        stderr: "ignore",
      });
      const lines = stdout.split("\n");
      if (lines.length !== own.length)
        throw new Error(`of ${own.length} previews, ${lines.length} ended; the last: ${lines.at(-1)}`);
      for (const [at, index] of own.entries()) outcomes[index] = JSON.parse(lines[at] ?? "") as Outcome;
    }),
  );
  return outcomes;
}
