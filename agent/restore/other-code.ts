import type { AgentSettings } from "../../shared/agent-settings.ts";
import type { Reporter } from "../base/reporter.ts";
import { readRunningBackend } from "../catalogue/running-backend.ts";
import type { BackendImage, Manifest } from "../manifest/manifest.ts";

/** What ran when a backup was taken, and what runs now. Null and undefined: nobody knows. */
export interface Code {
  stackVersion?: string | null | undefined;
  backendImage?: BackendImage | null | undefined;
}

/** Warns where a backup was taken with other code than what runs now. That may not fit the tables that are restored. */
export async function tellOtherCode(
  settings: AgentSettings,
  manifest: Manifest | null,
  report: Reporter,
): Promise<void> {
  if (manifest === null) return;
  const now = { stackVersion: settings.stackVersion, backendImage: await readRunningBackend(settings) };
  for (const line of otherCode(manifest, now)) report.warn(line);
}

export function otherCode(then: Code, now: Code): string[] {
  const lines: string[] = [];
  const [ran, runs] = [then.backendImage, now.backendImage];
  if (ran && runs && ran.digest !== runs.digest)
    lines.push(
      `It was taken when the backend ran ${shown(ran)}; it runs ${shown(runs)} now. Where that does not fit the tables of then, put the code of then back (git checkout, then npm run up), with the backend stopped`,
    );
  if (then.stackVersion && now.stackVersion && then.stackVersion !== now.stackVersion)
    lines.push(
      `It was taken by version ${then.stackVersion} of the stack; this is version ${now.stackVersion}`,
    );
  return lines;
}

function shown({ name, digest }: BackendImage): string {
  return `${name} (${digest.replace(/^sha256:/, "").slice(0, 12)})`;
}
