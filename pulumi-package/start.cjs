#!/usr/bin/env node
// What Pulumi starts when the project is used as a package: as the folder's main file, or as a program by its own path. The CLI would
// load TypeScript through ts-node, which cannot read the project's modules; tsx can.
module.exports = import("tsx/esm/api").then(({ tsImport }) => tsImport("./provider.ts", __filename));
