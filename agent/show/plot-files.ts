import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** What the browser draws the plots with. It lies beside the agent's program in its image: nothing is fetched from elsewhere. */
export interface PlotFiles {
  script: Buffer;
  style: string;
}

/** null where they are not, as when the agent runs from its sources: then there are no plots. */
export async function readPlotFiles(folder = dirname(process.argv[1] ?? "")): Promise<PlotFiles | null> {
  try {
    const [library, own, style] = await Promise.all(
      ["uPlot.iife.min.js", "plots.js", "uPlot.min.css"].map(name => readFile(join(folder, name))),
    );
    return { script: Buffer.concat([library, Buffer.from("\n"), own] as Buffer[]), style: String(style) };
  } catch {
    return null;
  }
}
