// What `npm install` runs in a copy of the project that Pulumi has fetched: the packages are those of the whole project. A copy that
// has them is left alone; commands may be running from it.
const { execFileSync } = require("node:child_process");
const { existsSync, mkdirSync } = require("node:fs");
const { dirname, join } = require("node:path");

const project = dirname(__dirname);
if (!existsSync(join(project, "node_modules", ".package-lock.json"))) {
  const how = ["ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"];
  execFileSync("npm", how, { cwd: project, stdio: ["ignore", "inherit", "inherit"] });
}
// Pulumi's language host takes an installation without this folder for a failed one. A second copy of the SDK must not be in it.
mkdirSync(join(__dirname, "node_modules"), { recursive: true });
