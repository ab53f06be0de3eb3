import type { ECharts } from "echarts";

/**
 * The chart as an SVG, which is the same for the same chart: without what a pointer would change, whose names count the charts of this
 * process. The chart is gone then.
 */
export function stillSvg(chart: ECharts): string {
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg.replace(/<style[\s\S]*<\/style>\n/, "").replaceAll(/ class="[^"]*"/g, "")}\n`;
}
