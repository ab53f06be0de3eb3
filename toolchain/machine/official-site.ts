import { ANSWER_MS } from "./patience.ts";
import { say } from "./say.ts";
import { request } from "./web.ts";

/** Where official releases are downloaded from. Each has its own checksums: the two have packed the same files differently. */
export interface Site {
  /** The address of a file of a release of the CLI. */
  cli(version: string, file: string): string;
  /** The address of a plugin's archive. */
  plugin(name: string, version: string, file: string): string;
}

const ORIGINS = ["https://get.pulumi.com", "https://github.com"] as const;
const SITES: Record<(typeof ORIGINS)[number], Site> = {
  "https://get.pulumi.com": {
    cli: (_version, file) => `https://get.pulumi.com/releases/sdk/${file}`,
    plugin: (_name, _version, file) => `https://get.pulumi.com/releases/plugins/${file}`,
  },
  "https://github.com": {
    cli: (version, file) => `https://github.com/pulumi/pulumi/releases/download/v${version}/${file}`,
    plugin: (name, version, file) =>
      `https://github.com/pulumi/pulumi-${name}/releases/download/v${version}/${file}`,
  },
};

let answering: Promise<Site[]> | undefined;

/** The sites that can be reached, the better one first. Asked once in a run. */
export function officialSites(): Promise<Site[]> {
  answering ??= ask();
  return answering;
}

async function ask(): Promise<Site[]> {
  const reasons: string[] = [];
  const sites = await Promise.all(
    ORIGINS.map(async origin => {
      try {
        await request(`${origin}/`, {
          method: "HEAD",
          redirect: "manual",
          signal: AbortSignal.timeout(ANSWER_MS),
        });
        return [SITES[origin]];
      } catch (error) {
        reasons.push(`${new URL(origin).host}: ${(error as Error).message}`);
        return [];
      }
    }),
  );
  const found = sites.flat();
  if (found.length === 0) {
    say(
      `Pulumi's download sites cannot be reached (${reasons.join("; ")}): what is missing is built from its sources instead.`,
    );
  }
  return found;
}
