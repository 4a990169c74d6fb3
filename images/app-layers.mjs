// The two upper layers: the packages from the registry, which change seldom, and our own built code with the programs.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { NODE } from "./node-layer.mjs";
import { neededPackages, packageFiles } from "./packages.mjs";

/** Where the code is in the image. */
const APP = "opt/rhea";

/** The programs, each from the main of a package. */
const PROGRAMS = [
  { name: "rhea-store", folder: "store", main: "bin/rhea-store" },
  { name: "rhea-pd", folder: "pd", main: "bin/rhea-pd" },
  { name: "rhea-operator", folder: "operator", main: "bin/rhea-operator" },
  { name: "rheactl", folder: "cli", main: "bin/rheactl" },
];
/** Below `dist` of our packages: what only tests and developers run. */
const DEVELOPMENT = /(?:^|\/)(?:testing|conformance)\/|\.test\.js$|-suite\.js$/;

/** @typedef {Map<string, import("./tar.mjs").Entry>} Entries */

/**
 * @param {string} root a built checkout
 * @returns {{ dependencies: Entries, programs: Entries, native: string[], names: string[] }} `native`: the installed native modules that
 *   are in the layer; `names`: the programs
 * @throws {Error} if a program has no build, or a package is not installed
 */
export function appLayers(root) {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const programs = PROGRAMS.filter(({ folder, main }) => existsSync(join(root, folder, "src", `${main}.ts`)));
  for (const { name } of PROGRAMS.filter((program) => !programs.includes(program))) {
    if (name !== "rhea-operator")
      throw new Error(`${root} has no source of ${name}: it is no checkout of this project`);
    process.stderr.write(`note: this version has no ${name}: the image has none\n`);
  }
  /** @type {Entries} */
  const dependencies = new Map();
  /** @type {Entries} */
  const own = new Map();
  /** @type {string[]} */
  const native = [];
  const roots = [...new Set(programs.map(({ folder }) => folder))];
  for (const place of neededPackages(lock, roots)) {
    if (place.includes("node_modules/")) {
      for (const [path, data] of packageFiles(root, place)) {
        dependencies.set(`${APP}/${place}/${path}`, { type: "file", mode: 0o644, data });
        if (path.endsWith(".node")) native.push(join(root, place, path));
      }
    } else {
      for (const [path, data] of builtFiles(root, place)) {
        own.set(`${APP}/${place}/${path}`, { type: "file", mode: 0o644, data });
      }
      own.set(`${APP}/node_modules/@rhea/${place}`, { type: "link", target: `../../${place}` });
    }
  }
  own.set(`${APP}/LICENSE`, { type: "file", mode: 0o644, data: readFileSync(join(root, "LICENSE")) });
  for (const { name, folder, main } of programs) {
    const path = `${APP}/${folder}/dist/${main}.js`;
    if (!own.has(path)) throw new Error(`${folder}/dist/${main}.js is missing: run \`npm run build\`, then try again`);
    own.set(`usr/local/bin/${name}`, { type: "file", mode: 0o755, data: Buffer.from(launcher(`/${path}`)) });
  }
  return { dependencies, programs: own, native, names: programs.map(({ name }) => name) };
}

/**
 * A program without a shell. The kernel ignores a signal that the first process of a container has no handler for: until the program has
 * its own, and in one that never has any, this one ends it.
 *
 * @param {string} main
 */
function launcher(main) {
  return `#!/${NODE}
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => process.listenerCount(signal) === 1 && process.exit(143));
}
import(${JSON.stringify(main)});
`;
}

/**
 * The built code of a workspace and its package.json. A file in dist whose source is gone is not taken, so that an old build directory
 * gives the same image as a new one.
 *
 * @param {string} root
 * @param {string} folder
 * @returns {Map<string, Buffer>}
 */
function builtFiles(root, folder) {
  /** @type {Map<string, Buffer>} */
  const files = new Map([["package.json", readFileSync(join(root, folder, "package.json"))]]);
  for (const output of ["dist", "gen"]) {
    const base = join(root, folder, output);
    if (!existsSync(base)) continue;
    for (const name of readdirSync(base, { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".js") || DEVELOPMENT.test(name)) continue;
      if (output === "dist" && !existsSync(join(root, folder, "src", name.replace(/\.js$/, ".ts")))) {
        if (!existsSync(join(root, folder, "src", name))) continue;
      }
      files.set(`${output}/${name}`, readFileSync(join(base, name)));
    }
  }
  return files;
}
