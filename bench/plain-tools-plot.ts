import * as echarts from "echarts";
import { SHAPES, type Shape } from "./plain-tools-data.ts";
import { type Result, ratio } from "./plain-tools-page.ts";
import { stillSvg } from "./still-svg.ts";

const WIDTH = 900;
const HEIGHT = 420;

/** An SVG: what each operation takes as a multiple of the plain tool's time, one panel for each shape of the data. */
export function plot(results: readonly Result[]): string {
  const shapes = Object.keys(SHAPES) as Shape[];
  const sizes = [...new Set(results.map(({ megabytes }) => megabytes))];
  const names = [...new Set(results.map(({ name }) => name))];
  // One scale for both panels.
  const max = Math.ceil(Math.max(...results.map(ratio)));
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: [
      { text: "Wall time beside PostgreSQL's plain tools (1 = the same)", left: "center", top: 8 },
      ...shapes.map((shape, panel) => ({
        text: shape,
        left: panel === 0 ? "26%" : "75%",
        top: 40,
        textAlign: "center" as const,
        textStyle: { fontSize: 13, fontWeight: "normal" as const },
      })),
    ],
    legend: { data: sizes.map(sizeName), bottom: 8 },
    grid: [
      { left: "6%", width: "41%", top: 72, bottom: 96 },
      { left: "55%", width: "41%", top: 72, bottom: 96 },
    ],
    xAxis: shapes.map((_, panel) => ({
      type: "category" as const,
      gridIndex: panel,
      data: names.map(name => name.replaceAll(" ", "\n")),
      axisLabel: { interval: 0 },
    })),
    yAxis: shapes.map((_, panel) => ({ type: "value" as const, gridIndex: panel, min: 0, max })),
    series: shapes.flatMap((shape, panel) =>
      sizes.map(megabytes => ({
        type: "bar" as const,
        name: sizeName(megabytes),
        xAxisIndex: panel,
        yAxisIndex: panel,
        data: names.map(name => ratioOf(results, { shape, megabytes, name })),
        markLine: {
          silent: true,
          symbol: "none",
          label: { show: false },
          lineStyle: { color: "#444444", type: "solid" as const },
          data: [{ yAxis: 1 }],
        },
      })),
    ),
  });
  return stillSvg(chart);
}

const sizeName = (megabytes: number) => `${megabytes} MB`;

function ratioOf(
  results: readonly Result[],
  wanted: Pick<Result, "shape" | "megabytes" | "name">,
): number | null {
  const found = results.find(
    ({ shape, megabytes, name }) =>
      shape === wanted.shape && megabytes === wanted.megabytes && name === wanted.name,
  );
  return found ? Number(ratio(found).toFixed(2)) : null;
}
