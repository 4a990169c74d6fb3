// Puts layers together into one archive that `docker load`, `ctr images import`, `kind load image-archive`, `k3s ctr images import`,
// `minikube image load`, podman and skopeo take: an OCI layout and, in the same blobs, Docker's own manifest.
import { createHash } from "node:crypto";
import { closeSync, openSync, renameSync, writeSync } from "node:fs";
import { tar } from "./tar.mjs";

/**
 * @typedef {{ created: string, config: Record<string, unknown>, layers: { comment: string, entries: Map<string, import("./tar.mjs").Entry> }[] }} Image
 */

const OCI = "application/vnd.oci.image";
const ARCHITECTURES = new Map([
  ["x64", "amd64"],
  ["arm64", "arm64"],
]);

/** @param {Buffer} data */
const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/**
 * Writes the archive; the file appears under its name only when it is whole.
 *
 * @param {Image} image
 * @param {{ out: string, name: string, format: "docker" | "oci" }} options `name`: with its tag; `format`: "oci" leaves Docker's manifest out
 * @returns {{ digest: string, size: number, layers: { comment: string, size: number, digest: string }[] }} `digest`: of the manifest, by
 *   which a registry would know the image
 */
export function writeArchive({ created, config, layers }, { out, name, format }) {
  /** @type {Map<string, import("./tar.mjs").Entry>} */
  const files = new Map();
  const addBlob = (/** @type {Buffer} */ data) => {
    const digest = sha256(data);
    files.set(`blobs/sha256/${digest}`, { type: "file", mode: 0o644, data });
    return digest;
  };
  const addJson = (/** @type {unknown} */ value) => {
    const data = Buffer.from(JSON.stringify(value));
    return { digest: addBlob(data), size: data.length };
  };
  const written = layers.map(({ comment, entries }) => {
    const { chunks, size } = tar(entries);
    return { comment, size, digest: addBlob(Buffer.concat(chunks)) };
  });
  const configBlob = addJson({
    created,
    architecture: ARCHITECTURES.get(process.arch) ?? process.arch,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: written.map(({ digest }) => `sha256:${digest}`) },
    history: written.map(({ comment }) => ({ created, created_by: comment })),
  });
  const manifest = addJson({
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: { mediaType: `${OCI}.config.v1+json`, digest: `sha256:${configBlob.digest}`, size: configBlob.size },
    layers: written.map(({ digest, size }) => ({
      mediaType: `${OCI}.layer.v1.tar`,
      digest: `sha256:${digest}`,
      size,
    })),
  });
  const text = (/** @type {string} */ path, /** @type {unknown} */ value) =>
    files.set(path, { type: "file", mode: 0o644, data: Buffer.from(JSON.stringify(value)) });
  text("oci-layout", { imageLayoutVersion: "1.0.0" });
  text("index.json", {
    schemaVersion: 2,
    mediaType: `${OCI}.index.v1+json`,
    manifests: [
      {
        mediaType: `${OCI}.manifest.v1+json`,
        digest: `sha256:${manifest.digest}`,
        size: manifest.size,
        annotations: {
          "io.containerd.image.name": fullName(name),
          "org.opencontainers.image.ref.name": name.slice(name.lastIndexOf(":") + 1),
        },
      },
    ],
  });
  if (format === "docker") {
    text("manifest.json", [
      {
        Config: `blobs/sha256/${configBlob.digest}`,
        RepoTags: [name],
        Layers: written.map(({ digest }) => `blobs/sha256/${digest}`),
      },
    ]);
  }
  const { chunks, size } = tar(files);
  const part = `${out}.part`;
  const file = openSync(part, "w");
  try {
    for (const chunk of chunks) writeAll(file, chunk);
  } finally {
    closeSync(file);
  }
  renameSync(part, out);
  return { digest: `sha256:${manifest.digest}`, size, layers: written };
}

/**
 * @param {number} file
 * @param {Buffer} data
 */
function writeAll(file, data) {
  for (let at = 0; at < data.length;) at += writeSync(file, data, at);
}

/**
 * The name as container runtimes know it: a name without a registry is one of docker.io, as `docker` reads it.
 *
 * @param {string} name
 */
function fullName(name) {
  const [first = "", ...rest] = name.split("/");
  if (rest.length === 0) return `docker.io/library/${name}`;
  return /[.:]|^localhost$/.test(first) ? name : `docker.io/${name}`;
}
