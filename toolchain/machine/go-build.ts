import { join } from "node:path";
import { execa } from "execa";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { runLogged } from "./run-tool.ts";
import { ToolchainError } from "./say.ts";

const NEEDED = [1, 26] as const;

/**
 * Builds one Go program from a module folder under toolchain/, whose go.mod pins and whose go.sum checks all that is
 * downloaded. `variables` are set by the linker, as in `{"main.version": "1.2.3"}`. `tags` are those of Go's build constraints.
 */
export async function goBuild(
  moduleFolder: string,
  target: string,
  output: string,
  variables: Record<string, string> = {},
  tags: readonly string[] = [],
): Promise<void> {
  await requireGo();
  const flags = Object.entries(variables).map(([name, value]) => `-X ${name}=${value}`);
  await runLogged(
    `go-build-${moduleFolder}`,
    "go",
    [
      "build",
      "-mod=readonly",
      "-buildvcs=false",
      `-tags=${tags.join(",")}`,
      "-ldflags",
      ["-s", "-w", ...flags].join(" "),
      "-o",
      output,
      target,
    ],
    // A go.work above the project would replace the pinned versions.
    { cwd: join(PROJECT_FOLDER, "toolchain", moduleFolder), env: { GOWORK: "off" } },
  );
}

async function requireGo(): Promise<void> {
  const { stdout, failed } = await execa("go", ["env", "GOVERSION"], { reject: false });
  const [major = 0, minor = 0] =
    /^go(\d+)\.(\d+)/
      .exec(String(stdout ?? ""))
      ?.slice(1)
      .map(Number) ?? [];
  // From 1.21 on, go fetches the release that a go.mod asks for by itself.
  if (!failed && major === NEEDED[0] && minor >= 21) return;
  const found = failed ? "there is none" : `this is ${stdout}`;
  throw new ToolchainError(
    `The Pulumi CLI and its plugins cannot be downloaded here, and building them takes Go ${NEEDED.join(".")} (${found}). ` +
      "Install Go (https://go.dev/dl/), or let this machine reach https://get.pulumi.com, and run the same command again.",
  );
}
