// Which folder may import which: `npm run arrows`. CONTRIBUTING.md shows the same as a table.

/** The files of a side that lie in no room. */
const ON_TOP = ".";

/** Rooms of one side, from the ground up: each may import those before it and none after it. */
const ROOMS = {
  agent: [
    ["base"],
    ["encryption", "manifest", "memory", "server"],
    ["alert", "catalogue", "store", "throwaway", "unloadable"],
    ["dump", "local-store"],
    ["operation"],
    ["backup", "load"],
    ["point-in-time"],
    ["ssh"],
    ["state"],
    ["copies"],
    ["drill", "restore", "retention"],
    ["migrate"],
    ["schedule"],
    ["status"],
    ["show"],
    ["commands"],
    [ON_TOP],
  ],
  components: [
    ["images", "steps"],
    ["containers"],
    ["offsite", "replicas"],
    ["managed"],
    [ON_TOP],
    ["outputs", "prepare"],
    ["whole"],
  ],
  scripts: [
    ["terminal"],
    ["stack"],
    ["to-agent"],
    ["status", "volume"],
    ["files"],
    ["recover", "restore"],
    ["adopt", "migrate", "replica", "upgrade"],
    [ON_TOP],
  ],
  toolchain: [["stand-ins"], ["machine"], ["commands"]],
};

/** What each side may import beside itself and npm's packages. */
const BELOW = {
  shared: [],
  engine: ["shared"],
  settings: ["shared"],
  "object-store": ["shared"],
  agent: ["shared", "object-store"],
  components: ["shared", "engine", "object-store", "settings", "settings.ts"],
  "pulumi-package": ["shared", "engine", "settings", "settings.ts", "components"],
  scripts: ["shared", "engine"],
  policy: ["shared"],
  backend: [],
  toolchain: ["shared", "engine", "settings", "settings.ts", "components/images"],
};

const filesOf = (side, room) => (room === ON_TOP ? `^${side}/[^/]+$` : `^${side}/${room}/`);

const sides = Object.entries(BELOW).map(([side, below]) => ({
  name: `${side} imports ${below.join(", ") || "nothing but itself"}`,
  severity: "error",
  from: { path: `^${side}/` },
  to: {
    path: "^(?!node_modules/)[^/]",
    pathNot: [side, ...below].map(path => `^${path}(?:/|$)`),
    dependencyTypesNot: ["core"],
  },
}));

const rooms = Object.entries(ROOMS).flatMap(([side, floors]) =>
  floors.flatMap((floor, at) =>
    floor.map(room => ({
      name: `${side}/${room} imports only rooms below it`,
      severity: "error",
      from: { path: filesOf(side, room) },
      to: {
        path: `^${side}/`,
        pathNot: [room, ...floors.slice(0, at).flat()].map(below => filesOf(side, below)),
      },
    })),
  ),
);

const declared = [
  {
    name: "a package is declared where it is used",
    severity: "error",
    // The policies and the package for other programs use the packages of the project: a manifest of their own is what the CLI asks for.
    from: { pathNot: "^(?:(?:test|bench|policy|pulumi-package)/|vitest\\.config\\.ts$)" },
    to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"] },
  },
  {
    name: "what is imported is there",
    severity: "error",
    from: {},
    to: { couldNotResolve: true },
  },
];

export default {
  forbidden: [...sides, ...rooms, ...declared],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(?:\\.build|\\.pulumi-state|backups|docs|examples|images)/" },
    // Types are arrows, too.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default"],
    },
  },
};
