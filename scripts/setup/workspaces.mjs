import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Returns the folders of the packages, as the root package.json lists them.
 *
 * @param {string} root
 * @returns {string[]}
 */
export function workspaces(root) {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8")).workspaces;
}
