// Writes tar archives (POSIX ustar, pax records for long names) that depend on nothing but their content: entries sorted by name, all
// times zero, owners by number. Equal files give equal bytes.
import { createHash } from "node:crypto";

const BLOCK = 512;

/**
 * One entry. `mode` includes no type bits.
 *
 * @typedef {{ type: "file", mode: number, data: Buffer, owner?: number }
 *   | { type: "directory", mode: number, owner?: number }
 *   | { type: "link", target: string, owner?: number }} Entry
 */

/**
 * Makes an archive.
 *
 * @param {ReadonlyMap<string, Entry>} entries by path without a leading slash; the folders above an entry are added where they are missing
 * @returns {{ chunks: Buffer[], size: number, sha256: string }}
 */
export function tar(entries) {
  const all = withFolders(entries);
  /** @type {Buffer[]} */
  const chunks = [];
  for (const name of [...all.keys()].sort((a, b) => (a < b ? -1 : 1))) {
    const entry = /** @type {Entry} */ (all.get(name));
    chunks.push(...encode(name, entry));
  }
  chunks.push(Buffer.alloc(2 * BLOCK));
  const hash = createHash("sha256");
  let size = 0;
  for (const chunk of chunks) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { chunks, size, sha256: hash.digest("hex") };
}

/**
 * @param {ReadonlyMap<string, Entry>} entries
 * @returns {Map<string, Entry>}
 */
function withFolders(entries) {
  const all = new Map(entries);
  for (const name of entries.keys()) {
    for (let at = name.lastIndexOf("/"); at > 0; at = name.lastIndexOf("/", at - 1)) {
      const folder = name.slice(0, at);
      if (all.has(folder)) break;
      all.set(folder, { type: "directory", mode: 0o755 });
    }
  }
  return all;
}

/**
 * @param {string} name
 * @param {Entry} entry
 * @returns {Buffer[]}
 */
function encode(name, entry) {
  const path = entry.type === "directory" ? `${name}/` : name;
  const data = entry.type === "file" ? entry.data : Buffer.alloc(0);
  const fields = { name: path, prefix: "", target: entry.type === "link" ? entry.target : "" };
  /** @type {Buffer[]} */
  const chunks = [];
  const split = splitName(path);
  if (split !== undefined) [fields.prefix, fields.name] = split;
  else {
    const records = Buffer.from(paxRecord("path", path));
    const pax = header({ name: "pax", prefix: "", target: "", mode: 0o644, owner: 0, size: records.length, flag: "x" });
    chunks.push(pax, records, padding(records.length));
    fields.name = path.slice(0, 100);
  }
  if (Buffer.byteLength(fields.target) > 100) throw new Error(`${name}: the link's target is longer than 100 bytes`);
  const flag = { file: "0", link: "2", directory: "5" }[entry.type];
  const mode = entry.type === "link" ? 0o777 : entry.mode;
  chunks.push(header({ ...fields, mode, owner: entry.owner ?? 0, size: data.length, flag }));
  if (data.length > 0) chunks.push(data, padding(data.length));
  return chunks;
}

/**
 * @param {string} path
 * @returns {[prefix: string, name: string] | undefined} undefined where the ustar fields cannot hold it
 */
function splitName(path) {
  if (Buffer.byteLength(path) <= 100) return ["", path];
  for (let at = path.indexOf("/"); at > 0 && at <= 155; at = path.indexOf("/", at + 1)) {
    const name = path.slice(at + 1);
    if (name !== "" && Buffer.byteLength(name) <= 100) return [path.slice(0, at), name];
  }
  return undefined;
}

/**
 * @param {string} key
 * @param {string} value
 */
function paxRecord(key, value) {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest) + 1;
  while (String(length).length + Buffer.byteLength(rest) !== length) length++;
  return `${length}${rest}`;
}

/** @param {number} size */
const padding = (size) => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);

/**
 * @param {{ name: string, prefix: string, target: string, mode: number, owner: number, size: number, flag: string }} fields
 * @returns {Buffer}
 */
function header({ name, prefix, target, mode, owner, size, flag }) {
  const block = Buffer.alloc(BLOCK);
  const octal = (/** @type {number} */ value, /** @type {number} */ at, /** @type {number} */ length) =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  block.write(name, 0, 100);
  octal(mode, 100, 8);
  octal(owner, 108, 8);
  octal(owner, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.write(" ".repeat(8), 148, "latin1"); // the checksum is taken with blanks in its place
  block.write(flag, 156, "latin1");
  block.write(target, 157, 100);
  block.write("ustar\x0000", 257, "latin1");
  block.write(prefix, 345, 155);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}
