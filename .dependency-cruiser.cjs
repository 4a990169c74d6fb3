// The arrows of the design: which package may import which, by which door, and what the pure cores may not see.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

/** Package folder -> the packages it may import. A folder that is not named here may import anything public. */
const ARROWS = {
  common: [],
  proto: [],
  raft: ["common", "proto"],
  store: ["raft", "common", "proto"],
  pd: ["store", "raft", "common", "proto"],
  client: ["common", "proto"],
  embedded: ["client", "store", "pd", "raft", "common", "proto"],
  history: ["common"],
  operator: ["client", "common", "proto"],
  cli: ["client", "operator", "history", "common"],
  sim: ["common", "proto", "raft", "store", "pd", "client", "embedded", "history", "operator"],
};
const PACKAGES = Object.keys(ARROWS);

/** The doors of a package: the source files its `exports` name. */
function doors(folder) {
  let manifest;
  try {
    manifest = JSON.parse(readFileSync(join(__dirname, folder, "package.json"), "utf8"));
  } catch {
    return []; // the package does not exist yet
  }
  return Object.entries(manifest.exports ?? {}).map(([subpath, target]) => ({
    subpath,
    file: `${folder}/${(target["rhea-source"] ?? target).replace(/^\.\//, "")}`,
  }));
}

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const anyOf = (items) => `(?:${items.join("|")})`;
const offlineDoors = ["raft", "store"]
  .flatMap(doors)
  .filter(({ subpath }) => subpath.startsWith("./offline"))
  .map(({ file }) => `^${escape(file)}$`);

const arrows = PACKAGES.map((name) => ({
  name: `arrow-${name}`,
  comment: `${name} may import only: ${ARROWS[name].join(", ") || "nothing of ours"}`,
  severity: "error",
  from: { path: `^${name}/` },
  to: {
    path: `^${anyOf(PACKAGES)}/`,
    // The offline commands of rheactl read a stopped store's files: only those doors are open to cli.
    pathNot: [`^${anyOf([name, ...ARROWS[name]])}/`, ...(name === "cli" ? offlineDoors : [])],
  },
}));

module.exports = {
  forbidden: [
    ...arrows,
    {
      name: "no-internals",
      comment: "Another package is imported by its name and one of its exports, never by a path into it.",
      severity: "error",
      from: { path: `^(${anyOf([...PACKAGES, "scripts", "e2e", "bench", "examples"])})/` },
      to: {
        path: `^${anyOf(PACKAGES)}/`,
        pathNot: ["^$1/", ...PACKAGES.flatMap(doors).map(({ file }) => `^${escape(file)}$`)],
      },
    },
    {
      name: "no-relative-across",
      comment: "Another package is imported by its name (@rhea/...), also when the file is one of its exports.",
      severity: "error",
      from: { path: `^(${anyOf([...PACKAGES, "scripts", "e2e", "bench", "examples"])})/` },
      to: {
        path: `^${anyOf(PACKAGES)}/`,
        pathNot: "^$1/",
        dependencyTypes: ["local"],
        dependencyTypesNot: ["aliased"],
      },
    },
    {
      name: "no-cycles",
      comment:
        "A cycle means that two files are one idea. Types may refer to each other: such an import is gone at run time.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "core-is-pure",
      comment: "raft/src/core is inputs in, effects out: it sees itself and the errors of common.",
      severity: "error",
      from: { path: "^raft/src/core/", pathNot: "\\.test\\.ts$" },
      to: { pathNot: ["^raft/src/core/", "^common/src/index\\.ts$"] },
    },
    {
      name: "log-is-below-node",
      comment: "Data flows one way: the host knows the log, the log does not know the host.",
      severity: "error",
      from: { path: "^raft/src/log/" },
      to: { path: "^raft/src/(?:node|transport)/" },
    },
    {
      name: "resolvable",
      comment: "An import that cannot be resolved.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "declared",
      comment: "A package lists what it imports in its own package.json.",
      severity: "error",
      from: { path: `^${anyOf(PACKAGES)}/src/`, pathNot: "(?:\\.test|-suite)\\.ts$" },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "tests-are-leaves",
      comment: "Nothing but a test imports a test.",
      severity: "error",
      from: { pathNot: "\\.test\\.(?:ts|mjs)$" },
      to: { path: "\\.test\\.(?:ts|mjs)$" },
    },
  ],
  options: {
    exclude: { path: "(?:^|/)dist/" },
    doNotFollow: { path: "(?:^|/)(?:node_modules|gen)/" },
    tsConfig: { fileName: join(__dirname, "tsconfig.base.json") },
    tsPreCompilationDeps: true,
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["rhea-source", "import", "node", "default", "types"],
      extensions: [".ts", ".mjs", ".js", ".cjs", ".json", ".d.ts"],
    },
  },
};
