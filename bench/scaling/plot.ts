import * as echarts from "echarts";
import { stillSvg } from "../still-svg.ts";
import { durations, type Load, storagePrice } from "./model.ts";
import type { Rates } from "./rates.ts";

const WIDTH = 900;
const HEIGHT = 420;

/** Gigabytes from 10 MB to 10 TB. */
const SIZES = Array.from({ length: 25 }, (_, at) => 10 ** (-2 + at / 4));

interface Curve {
  name: string;
  of(load: Load): number;
}

/** An SVG: hours against size. */
export function timesPlot(rates: Rates, usual: Omit<Load, "gigabytes">): string {
  const hours = (key: keyof ReturnType<typeof durations>) => (load: Load) =>
    durations(rates, load)[key] / 3600;
  return plot("Hours against the size of the plain dump", "hours", usual, [
    { name: "backup", of: hours("backup") },
    { name: "drill", of: hours("drill") },
    { name: "restore, new machine", of: hours("restore") },
    { name: "base backup", of: hours("baseBackup") },
    { name: "fetching from the bucket", of: hours("fetch") },
  ]);
}

/** An SVG: dollars a month against size. */
export function pricePlot(
  rates: Rates,
  usual: Omit<Load, "gigabytes">,
  ways: readonly { name: string; load: Partial<Load> }[],
): string {
  return plot(
    "S3 storage, dollars a month, against the size of the plain dump",
    "dollars a month",
    usual,
    ways.map(({ name, load: differs }) => ({
      name,
      of: load => storagePrice(rates, { ...load, ...differs }),
    })),
  );
}

function plot(title: string, unit: string, usual: Omit<Load, "gigabytes">, curves: readonly Curve[]): string {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: title, left: "center", top: 8 },
    legend: { data: curves.map(({ name }) => name), bottom: 8 },
    grid: { left: "8%", right: "4%", top: 56, bottom: 80 },
    xAxis: { type: "log", name: "GB", nameLocation: "middle", nameGap: 26, min: SIZES[0], max: SIZES.at(-1) },
    yAxis: { type: "log", name: unit },
    series: curves.map(({ name, of }) => ({
      type: "line" as const,
      name,
      symbol: "none",
      data: SIZES.map(gigabytes => [gigabytes, Number(of({ ...usual, gigabytes }).toPrecision(3))]),
    })),
  });
  return stillSvg(chart);
}
