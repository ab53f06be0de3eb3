import { exclusively } from "../../../toolchain/machine/cache.ts";
import { runLogged } from "../../../toolchain/machine/run-tool.ts";

/** Installs those of Debian's packages that are missing. `name` names the log, whose end is thrown on failure. */
export async function aptInstall(name: string, packages: readonly string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const options = ["-o", "DPkg::Lock::Timeout=120", "-y", "--no-install-recommends", "--no-upgrade"];
  const install = () =>
    runLogged(`apt-get-install-${name}`, "apt-get", ["install", ...options, ...packages], { env });
  await exclusively("apt-get", async () => {
    try {
      await install();
    } catch {
      // Package lists that are missing or out of date are the usual reason.
      await runLogged("apt-get-update", "apt-get", ["update"], { env });
      await install();
    }
  });
}
