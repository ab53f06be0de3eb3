import { join } from "node:path";
import { PROJECT_FOLDER } from "../../shared/project-folder.ts";
import { builtOnce, contentKey } from "./cache.ts";
import { runLogged } from "./run-tool.ts";
import { step } from "./say.ts";

const source = join(PROJECT_FOLDER, "toolchain", "moto");

/** How moto is started, without its own options: an imitation of AWS for tests. Its packages come from PyPI, checked. */
export async function motoServer(): Promise<[string, ...string[]]> {
  const folder = await builtOnce(
    "moto",
    await contentKey([join(source, "requirements.txt")], process.arch),
    unfinished =>
      step("Installing moto, an imitation of AWS, for the tests", async () => {
        await runLogged("moto", "python3", ["-m", "venv", unfinished]);
        const pip = ["-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-compile"];
        await runLogged("moto", join(unfinished, "bin", "python"), [
          ...pip,
          "-r",
          join(source, "requirements.txt"),
        ]);
      }),
  );
  return [join(folder, "bin", "python"), join(source, "server.py")];
}
