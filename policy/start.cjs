#!/usr/bin/env node
// What the Pulumi CLI starts: as the package's main file from the folder, or as a program by its own path. The CLI would
// load TypeScript through ts-node, which cannot read the project's modules; tsx can.
module.exports = import("tsx/esm/api").then(({ tsImport }) => tsImport("./index.ts", __filename));
