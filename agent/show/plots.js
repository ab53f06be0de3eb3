// Draws the plots of the status page. It runs in the browser, after uPlot, and reads what the page brought with it.
(() => {
  const source = document.getElementById("plot-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(name).trim();
  const units = ["B", "K", "M", "G", "T"];
  const size = bytes => {
    let unit = 0;
    let value = bytes;
    for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
    return `${value.toFixed(value < 10 && unit > 0 ? 1 : 0)}${units[unit]}`;
  };
  const seconds = value => (value < 600 ? `${value} s` : `${Math.round(value / 60)} min`);
  const plots = [
    ["size", size],
    ["took", seconds],
    ["proof", seconds],
  ].map(([id, shown]) => {
    const place = document.getElementById(`plot-${id}`);
    const axis = {
      stroke: colour("--soft"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    const options = {
      width: place.clientWidth,
      height: 180,
      legend: { show: false },
      cursor: { show: false },
      tzDate: at => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      scales: { y: { range: (_, __, most) => [0, (most || 1) * 1.1] } },
      axes: [axis, { ...axis, size: 56, values: (_, ticks) => ticks.map(shown) }],
      series: [
        {},
        {
          stroke: colour("--copy"),
          width: 2,
          points: { show: true, size: 5, fill: colour("--copy") },
          spanGaps: true,
        },
      ],
    };
    return [place, new uPlot(options, [data.at, data[id]], place)];
  });
  addEventListener("resize", () => {
    for (const [place, plot] of plots) plot.setSize({ width: place.clientWidth, height: 180 });
  });
})();
