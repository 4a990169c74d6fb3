// Tells whether the committed generated code is what its generators make today.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./setup.mjs";

/**
 * Each generator writes its files into the folder given as its only argument, or into `output` without one.
 */
const GENERATORS = [
  { script: "proto/generate.mjs", output: "proto/gen", refresh: "npm run proto" },
  { script: "operator/generate-api.mjs", output: "operator/src/api/gen", refresh: "node operator/generate-api.mjs" },
  { script: "charts/copy-crds.mjs", output: "charts/rhea/files/crds", refresh: "node charts/copy-crds.mjs" },
];

/** @param {string} folder */
const filesOf = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

/**
 * @param {(typeof GENERATORS)[number]} generator
 * @returns {string[]} what differs, one line each
 */
function differences({ script, output }) {
  const fresh = mkdtempSync(join(tmpdir(), "rhea-fresh-"));
  try {
    const run = spawnSync(process.execPath, [join(ROOT, script), fresh], { cwd: ROOT, encoding: "utf8" });
    if (run.status !== 0) return [`${script} failed:\n${run.stdout}${run.stderr}`];
    const committed = join(ROOT, output);
    const names = new Set([...filesOf(fresh), ...filesOf(committed)]);
    return [...names]
      .filter((name) => readIfThere(join(fresh, name)) !== readIfThere(join(committed, name)))
      .map((name) => `${output}/${name} is not what ${script} makes`);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

for (const generator of GENERATORS) {
  const lines = differences(generator);
  if (lines.length === 0) continue;
  process.exitCode = 1;
  console.log(`${lines.join("\n")}\nnext step: ${generator.refresh}, then commit the result`);
}
