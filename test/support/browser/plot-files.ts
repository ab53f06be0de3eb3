import { copyFile, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type PlotFiles, readPlotFiles } from "../../../agent/show/plot-files.ts";

/** As they lie beside the agent's program in its image. */
export async function plotFiles(): Promise<PlotFiles> {
  const folder = await mkdtemp(join(tmpdir(), "budgie-plots-"));
  const library = ["uPlot.iife.min.js", "uPlot.min.css"].map(file => `node_modules/uplot/dist/${file}`);
  for (const file of [...library, "agent/show/plots.js"]) await copyFile(file, join(folder, basename(file)));
  const files = await readPlotFiles(folder);
  if (!files) throw new Error("the plots' files are not where they should be");
  return files;
}
