// Which installed packages the programs need at run time, read from the lock file, and which of their files go into the image.
import { readFileSync, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";

/** Code, data and native modules; and what the licences oblige us to pass on. */
const KEPT = /\.(?:js|cjs|mjs|json|node)$|^(?:licen[cs]e|notice|copying|copyright)(?:$|[.-])/i;
/** Below the top of a package these are documents, sources and tests; deeper down they can be code (yaml/dist/doc). */
const TOP_FOLDERS_LEFT_OUT = new Set([
  ...["test", "tests", "__tests__", "doc", "docs", "example", "examples", "benchmark", "benchmarks", "coverage"],
  ...["deps", "binding", ".github"],
]);
/**
 * Builds of a package for other environments than Node, and files that Node never loads: by package, path prefixes. They are half of
 * what is left after the rules above.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const LEFT_OUT = {
  yaml: ["browser/"],
  protobufjs: ["dist/", "cli/", "bin/", "scripts/"],
  ajv: ["lib/"],
  "@opentelemetry/api": ["build/esm/", "build/esnext/"],
};
const PREBUILDS = /^prebuilds\/([^/]+)\//;

/**
 * @typedef {{ version?: string, dev?: boolean, link?: boolean, resolved?: string, dependencies?: Record<string, string>,
 *   optionalDependencies?: Record<string, string>, peerDependencies?: Record<string, string> }} LockEntry
 */

/**
 * Returns the places of all packages that some workspaces need at run time: workspaces as `store`, others as `node_modules/yaml` or
 * `operator/node_modules/ajv`, sorted.
 *
 * @param {Readonly<Record<string, LockEntry>>} lock `packages` of package-lock.json
 * @param {readonly string[]} roots folders of the workspaces to start from
 * @throws {Error} if a package is not in the lock file
 */
export function neededPackages(lock, roots) {
  /** @type {Set<string>} */
  const seen = new Set();
  const visit = (/** @type {string} */ place) => {
    const entry = lock[place];
    if (entry === undefined) throw new Error(`package-lock.json has no ${place}`);
    if (entry.link === true) return visit(String(entry.resolved));
    if (seen.has(place)) return;
    seen.add(place);
    for (const name of Object.keys(entry.dependencies ?? {})) visit(find(lock, place, name) ?? missing(place, name));
    for (const name of Object.keys({ ...entry.optionalDependencies, ...entry.peerDependencies })) {
      const found = find(lock, place, name);
      if (found !== undefined && lock[found]?.dev !== true) visit(found);
    }
  };
  for (const root of roots) visit(root);
  return [...seen].sort();
}

/**
 * @param {string} place
 * @param {string} name
 * @returns {never}
 */
function missing(place, name) {
  throw new Error(`package-lock.json: ${place} needs ${name}, which is not in it`);
}

/**
 * Finds a package as Node does: in the node_modules of the asking folder, then of each folder above.
 *
 * @param {Readonly<Record<string, LockEntry>>} lock
 * @param {string} from
 * @param {string} name
 * @returns {string | undefined}
 */
function find(lock, from, name) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/")))) {
    const place = folder === "" ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (lock[place] !== undefined && !folder.endsWith("node_modules")) return place;
    if (folder === "") return undefined;
  }
}

/**
 * Reads the files of an installed package that a program loads.
 *
 * @param {string} root
 * @param {string} place as {@link neededPackages} returns it
 * @returns {Map<string, Buffer>} by path inside the package; empty where there is no code (type declarations)
 */
export function packageFiles(root, place) {
  const folder = realpathSync(join(root, place));
  const name = place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length);
  const leftOut = LEFT_OUT[name] ?? [];
  /** @type {Map<string, Buffer>} */
  const files = new Map();
  const visit = (/** @type {string} */ prefix) => {
    for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
      const path = prefix + entry.name;
      if (entry.isDirectory()) {
        const isLeftOut = entry.name === "node_modules" || (prefix === "" && TOP_FOLDERS_LEFT_OUT.has(entry.name));
        if (!isLeftOut && !leftOut.includes(`${path}/`)) visit(`${path}/`);
      } else if (KEPT.test(entry.name) && isForThisPlatform(path)) files.set(path, readFileSync(join(folder, path)));
    }
  };
  visit("");
  const hasCode = [...files.keys()].some((path) => /\.(?:c|m)?js$|\.node$/.test(path));
  return hasCode ? files : new Map();
}

/** @param {string} path */
function isForThisPlatform(path) {
  const prebuild = PREBUILDS.exec(path);
  if (prebuild === null) return true;
  return prebuild[1] === `${process.platform}-${process.arch}` && !/musl|electron/.test(path);
}
