// The lowest layer: this machine's Node with the shared libraries it loads, and the few files that a program expects of a system. No
// shell, no package manager.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** The user every program runs as. */
export const USER = 65532;
/** Where the image has Node. */
export const NODE = "usr/local/bin/node";

const CERTIFICATES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/** Opened by glibc itself where they are separate (before 2.34), so ldd does not name them. */
const NAME_SERVICE = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/**
 * @param {readonly string[]} nativeModules paths of `.node` files whose libraries are needed too
 * @returns {Map<string, import("./tar.mjs").Entry>}
 */
export function nodeLayer(nativeModules) {
  /** @type {Map<string, import("./tar.mjs").Entry>} */
  const entries = new Map();
  const add = (/** @type {string} */ name, /** @type {string} */ source, mode = 0o644) =>
    entries.set(name, { type: "file", mode, data: readFileSync(realpathSync(source)) });
  const text = (/** @type {string} */ name, /** @type {string} */ content) =>
    entries.set(name, { type: "file", mode: 0o644, data: Buffer.from(content) });

  add(NODE, process.execPath, 0o755);
  const libraries = new Set([process.execPath, ...nativeModules].flatMap(librariesOf));
  for (const library of [...libraries]) {
    if (!basename(library).startsWith("libc.so")) continue;
    for (const name of NAME_SERVICE) {
      if (existsSync(join(dirname(library), name))) libraries.add(join(dirname(library), name));
    }
  }
  for (const library of libraries) add(library.slice(1), library, 0o755);
  for (const [name, source] of licences(libraries)) add(name, source);

  text("etc/passwd", `root:x:0:0:root:/:/sbin/nologin\nrhea:x:${USER}:${USER}:rhea:/:/sbin/nologin\n`);
  text("etc/group", `root:x:0:\nrhea:x:${USER}:\n`);
  text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
  const certificates = CERTIFICATES.find((path) => existsSync(path));
  if (certificates !== undefined) add("etc/ssl/certs/ca-certificates.crt", certificates);
  entries.set("tmp", { type: "directory", mode: 0o1777 });
  for (const folder of ["var/lib/rhea", "var/lib/rhea-log"]) {
    entries.set(folder, { type: "directory", mode: 0o750, owner: USER });
  }
  return entries;
}

/**
 * Returns the absolute paths of the shared libraries, the loader included, that a program or module loads. None for a static one.
 *
 * @param {string} file
 * @returns {string[]}
 */
function librariesOf(file) {
  const { stdout, error } = spawnSync("ldd", [file], { encoding: "utf8" });
  if (error)
    throw new Error(`ldd cannot be run: ${error.message}: install it (Debian: libc-bin), or use images/Dockerfile`);
  const absent = /^\s*(\S+) => not found/m.exec(stdout);
  if (absent !== null) throw new Error(`${file} needs ${String(absent[1])}, which this machine does not have`);
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => String(match[1]));
}

/**
 * The licences of what was taken from this machine, where its package database knows them.
 *
 * @param {ReadonlySet<string>} libraries
 * @returns {Map<string, string>} path in the image -> path here
 */
function licences(libraries) {
  /** @type {Map<string, string>} */
  const found = new Map();
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  for (const path of [join(prefix, "LICENSE"), join(prefix, "share", "doc", "nodejs", "LICENSE")]) {
    if (existsSync(path)) found.set("usr/share/doc/nodejs/LICENSE", path);
  }
  const paths = [...libraries].flatMap((path) => [path, realpathSync(path)]);
  const { stdout = "" } = spawnSync("dpkg-query", ["--search", ...paths], { encoding: "utf8" });
  for (const line of (stdout ?? "").split("\n")) {
    const name = /^([a-z0-9.+-]+)(?::[a-z0-9]+)?: /.exec(line)?.[1];
    if (name === undefined) continue;
    const path = `usr/share/doc/${name}/copyright`;
    if (existsSync(`/${path}`)) found.set(path, `/${path}`);
  }
  return found;
}
