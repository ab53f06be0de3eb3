import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";

/** A setting as Pulumi.yaml has it; an empty default stands for "not set". */
export interface DeclaredSetting {
  default: string;
  description: string;
  secret?: boolean;
}

/** All of them by their short name, in the order of Pulumi.yaml. */
export function declaredSettings(): Record<string, DeclaredSetting> {
  const text = readFileSync(join(PROJECT_FOLDER, "Pulumi.yaml"), "utf8");
  return (parse(text) as { config: Record<string, DeclaredSetting> }).config;
}
