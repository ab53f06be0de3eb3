import type { ECharts } from "echarts";

/**
 * The chart as an SVG, which is the same for the same chart: without what a pointer would change, and without the number that the chart
 * has in this process. The chart is gone then.
 */
export function stillSvg(chart: ECharts): string {
  const svg = chart.renderToSVGString();
  chart.dispose();
  const still = svg.replace(/<style[\s\S]*<\/style>\n/, "").replaceAll(/ class="[^"]*"/g, "");
  return `${still.replaceAll(/\bzr\d+-/g, "")}\n`;
}
