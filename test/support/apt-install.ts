import { exclusively } from "../../toolchain/cache.ts";
import { runLogged } from "../../toolchain/run-tool.ts";

/** Installs Debian's packages, leaving alone what is there. `name` is the log's. Throws with the log's end when that fails. */
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
