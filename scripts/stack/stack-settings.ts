import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { EXIT, Stop } from "../../shared/exit-codes.ts";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";

/** The plain settings of a stack, by their short names, defaults included. Secrets are not among them. */
export type StackSettings = ReadonlyMap<string, string>;

const project = z.object({ config: z.record(z.string(), z.object({ default: z.string() })) });
const stackFile = z.object({ config: z.record(z.string(), z.unknown()).nullish() }).nullable();
const NAMESPACE = "budgie:";

/**
 * Reads the settings of a stack from its file, without Pulumi: that need not be there yet. Throws a Stop when the file cannot be read.
 */
export async function readStackSettings(
  stack: string,
  file = join(PROJECT_FOLDER, `Pulumi.${stack}.yaml`),
): Promise<StackSettings> {
  const defaults = project.parse(parse(await readFile(join(PROJECT_FOLDER, "Pulumi.yaml"), "utf8")));
  const own = await readFile(file, "utf8")
    .then(text => stackFile.parse(parse(text))?.config ?? {})
    .catch((error: Error) => {
      throw new Stop(
        EXIT.usage,
        `The settings of stack ${stack}, in ${file}, cannot be read: ${error.message}. Nothing was changed.`,
        `Name the stack as Pulumi does, e.g. npx budgie --stack dev adopt. A new one: npm run pulumi -- stack init ${stack}, then npm run pulumi -- config set --stack ${stack} budgie:namePrefix budgie-${stack}`,
      );
    });
  return new Map([
    ...Object.entries(defaults.config).map(([name, setting]) => [name, setting.default] as const),
    ...Object.entries(own).flatMap(([name, value]) =>
      name.startsWith(NAMESPACE) && ["string", "number", "boolean"].includes(typeof value)
        ? [[name.slice(NAMESPACE.length), String(value)] as const]
        : [],
    ),
  ]);
}
