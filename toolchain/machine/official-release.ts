import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { extract } from "tar";
import { isDiskFull } from "../../shared/file-systems.ts";
import { cacheFolder, exclusively } from "./cache.ts";
import { download, downloadText, SiteFailure } from "./download.ts";
import { officialSites, type Site } from "./official-site.ts";
import { say, step, ToolchainError } from "./say.ts";

interface Release {
  /** As in "Downloading WHAT". */
  what: string;
  /** The archive's name. */
  archive: string;
  address(site: Site): string;
  /** Where the release's checksums are, if they are published. */
  checksums?(site: Site): string;
  /** How many of its paths' first folders are left out. */
  strip: number;
  /** What to do when no site has it. */
  otherwise: string;
}

/**
 * Downloads a release and unpacks it into `folder`, which appears by one rename when it is whole. Needs no
 * program but Node. False when the sites are out of reach or refuse it: that is what stand-ins are for. Any other failure is
 * one to be told, because a machine with internet access gets no stand-in.
 */
export async function installRelease(folder: string, release: Release): Promise<boolean> {
  const sites = await officialSites();
  if (sites.length === 0) return false;
  return exclusively(`download-${release.archive}`, () =>
    step(`Downloading ${release.what}`, () => installFrom(sites, folder, release)),
  );
}

async function installFrom(sites: readonly Site[], folder: string, release: Release): Promise<boolean> {
  const failures: SiteFailure[] = [];
  for (const site of sites) {
    try {
      await installFromSite(site, folder, release);
      return true;
    } catch (error) {
      if (!(error instanceof SiteFailure)) throw error;
      failures.push(error);
    }
  }
  const reasons = failures.map(({ message }) => message).join("; ");
  if (failures.every(({ fault }) => fault === "out of reach" || fault === "refused")) {
    say(`${release.what} cannot be downloaded here (${reasons}): it is built from its sources instead.`);
    return false;
  }
  throw new ToolchainError(
    `${release.what} could not be downloaded: ${reasons}.\n${next(failures, release)}`,
  );
}

/** In the order of what the operator can do soonest. */
function next(failures: readonly SiteFailure[], { otherwise }: Release): string {
  const faults = new Set(failures.map(({ fault }) => fault));
  if (faults.has("limited"))
    return "Wait for that time, or an hour where none is named, and run the same command again.";
  if (faults.has("faulty") || faults.has("not whole"))
    return "Run the same command again in some minutes; it begins where it is needed.";
  return otherwise;
}

async function installFromSite(site: Site, folder: string, release: Release): Promise<void> {
  const url = release.address(site);
  const archive = join(cacheFolder, "downloads", release.archive);
  const sha256 = release.checksums && (await publishedChecksum(release.checksums(site), release.archive));
  await download(url, archive, sha256);
  try {
    await unpack(archive, folder, release.strip);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (isDiskFull(error))
      throw new ToolchainError(
        `There is no space left to unpack ${release.archive} (${code}). Make room under ${folder} and run the same command again.`,
      );
    throw new SiteFailure(
      "not whole",
      `what ${new URL(url).host} gave as ${release.archive} cannot be unpacked (${message})`,
    );
  } finally {
    await rm(archive, { force: true });
  }
}

async function publishedChecksum(url: string, archive: string): Promise<string> {
  const lines = (await downloadText(url)).split("\n").map(line => line.trim().split(/\s+\*?/));
  const found = lines.find(([, name]) => name === archive)?.[0]?.toLowerCase();
  if (found && /^[0-9a-f]{64}$/.test(found)) return found;
  throw new SiteFailure("missing", `${url} names no checksum of ${archive}`);
}

/** An archive that was cut off or altered does not unpack: gzip has a checksum and a length of its own. */
async function unpack(archive: string, folder: string, strip: number): Promise<void> {
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  try {
    await extract({ file: archive, cwd: unfinished, strip, strict: true });
    await rm(folder, { recursive: true, force: true });
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}
