import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { aptInstall } from "../servers/apt-install.ts";

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The machine's own Chromium; installed where there is none and a package manager has it. */
export async function startChromium(): Promise<Browser> {
  if (!PROGRAMS.some(existsSync)) await aptInstall("chromium", ["chromium", "fonts-dejavu-core"]);
  const executablePath = PROGRAMS.find(existsSync);
  if (!executablePath)
    throw new Error("There is no Chromium on this machine: install one, and run the same test again.");
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
}
