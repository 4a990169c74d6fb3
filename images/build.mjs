// `npm run image`: the container image of Rhea without a Docker daemon: this machine's Node, the packages that the programs need, and
// our build. Equal input gives an equal digest. images/README.md says what is in it.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { ROOT, setupOrExit } from "../scripts/setup.mjs";
import { SetupError } from "../scripts/setup/setup-error.mjs";
import { appLayers } from "./app-layers.mjs";
import { writeArchive } from "./archive.mjs";
import { nodeLayer, USER } from "./node-layer.mjs";
import { git, withRevision } from "./revision.mjs";

const USAGE = `usage: npm run image -- [options]
  --name NAME       name of the image, with a registry if it is to be pushed to one (default: rhea)
  --tag TAG         its tag (default: the version in package.json)
  --out FILE        the archive to write (default: rhea.tar)
  --format FORMAT   docker: for docker, containerd, kind, k3s, minikube, podman (default); oci: an OCI layout alone
  --no-build        take the build as it is
  --rev COMMIT      the image of another commit of this repository, HEAD~1 for example
`;

/** @returns {never} */
function refuse(/** @type {string} */ message) {
  process.stderr.write(`image: ${message}\n`);
  process.exit(2);
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        name: { type: "string", default: "rhea" },
        tag: { type: "string" },
        out: { type: "string", default: "rhea.tar" },
        format: { type: "string", default: "docker" },
        rev: { type: "string" },
        "no-build": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    return values;
  } catch (error) {
    return refuse(`${/** @type {Error} */ (error).message}\n${USAGE}`);
  }
}

/**
 * @param {string} root a built checkout
 * @param {{ version: string, revision: string, created: string, name: string, out: string, format: "docker" | "oci" }} options
 */
function buildImage(root, { version, revision, created, name, out, format }) {
  const started = performance.now();
  const { dependencies, programs, native, names } = appLayers(root);
  const { description, license, repository } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8"));
  const label = "org.opencontainers.image";
  const config = {
    User: `${USER}:${USER}`,
    Env: ["PATH=/usr/local/bin", "NODE_ENV=production", "UV_THREADPOOL_SIZE=16"],
    WorkingDir: "/",
    Labels: {
      [`${label}.title`]: "rhea",
      [`${label}.description`]: description,
      [`${label}.licenses`]: license,
      [`${label}.version`]: version,
      [`${label}.revision`]: revision,
      ...(repository === undefined ? {} : { [`${label}.source`]: repository.url ?? repository }),
    },
  };
  const layers = [
    { comment: `Node.js ${process.version} and its libraries`, entries: nodeLayer(native) },
    { comment: "production dependencies of package-lock.json", entries: dependencies },
    { comment: `rhea ${version}: ${names.join(", ")}`, entries: programs },
  ];
  const { digest, size, layers: written } = writeArchive({ created, config, layers }, { out, name, format });
  const megabytes = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  for (const layer of written) console.log(`  ${megabytes(layer.size).padStart(9)}  ${layer.comment}`);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${name}: ${megabytes(size)} in ${out}, digest ${digest}, ${seconds} s`);
}

const { name, tag, out, format, rev, help, "no-build": isBuilt } = options();
if (help) {
  console.log(USAGE.trimEnd());
  process.exit(0);
}
if (process.platform !== "linux")
  refuse("the image is made of this machine's own Node, so it needs Linux: use images/Dockerfile");
if (format !== "docker" && format !== "oci") refuse(`--format ${format}: docker or oci is needed`);
const commit = git(ROOT, ["rev-parse", "--verify", "--quiet", `${rev ?? "HEAD"}^{commit}`]);
if (rev !== undefined && commit === undefined) refuse(`--rev ${rev}: this repository has no such commit`);
const isDirty = rev === undefined && git(ROOT, ["status", "--porcelain"]) !== "";

/** @param {string} root */
const build = (root) => {
  const { version } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8"));
  const reference = `${name}:${tag ?? version}`;
  if (!/^[a-z0-9][a-z0-9._/:-]*:[\w][\w.-]{0,127}$/.test(reference)) refuse(`${reference} is no name of an image`);
  const revision = commit === undefined ? "unknown" : `${commit}${isDirty ? "-dirty" : ""}`;
  const time = commit === undefined ? 0 : Number(git(ROOT, ["show", "--no-patch", "--format=%ct", commit])) * 1000;
  const created = new Date(time).toISOString();
  buildImage(root, { version, revision, created, name: reference, out: resolve(out), format });
};
try {
  if (rev === undefined || commit === undefined) {
    await setupOrExit({ build: !isBuilt });
    build(ROOT);
  } else {
    await setupOrExit({ build: false });
    withRevision(ROOT, commit, build);
  }
} catch (error) {
  process.stderr.write(
    error instanceof SetupError ? `${error.message}\n` : `image: ${/** @type {Error} */ (error).message}\n`,
  );
  process.exitCode = 1;
}
