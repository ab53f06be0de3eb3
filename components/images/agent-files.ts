/** What the backup agent's image holds beside its program, by paths in the project. */
export const AGENT_FILES: readonly string[] = [
  ...["Dockerfile", "budgie-agent", "budgie-healthy", "show/plots.js"].map(file => `agent/${file}`),
  ...["uPlot.iife.min.js", "uPlot.min.css"].map(file => `node_modules/uplot/dist/${file}`),
];
