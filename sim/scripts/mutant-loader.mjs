// Plants one bug: `node --import ./sim/scripts/mutant-loader.mjs --import tsx ...` with RHEA_MUTANT = {"file", "find", "replace"}, the file
// relative to the project's root. The text is changed as the module is loaded, before tsx compiles it; nothing on disk changes.
// It must come before tsx, and works on every Node that Rhea runs on (module.registerHooks is too new for that).
import { register } from "node:module";
import { isMainThread } from "node:worker_threads";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const mutant = JSON.parse(process.env.RHEA_MUTANT ?? "{}");

if (isMainThread && process.env.RHEA_MUTANT !== undefined) register(import.meta.url);

/**
 * The loader's hook.
 *
 * @type {import("node:module").LoadHook}
 */
export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (!url.startsWith("file:") || fileURLToPath(url.split("?")[0] ?? url) !== ROOT + mutant.file) return loaded;
  const source = String(loaded.source);
  const parts = source.split(mutant.find);
  if (parts.length !== 2)
    throw new Error(`${mutant.file} holds the text to replace ${parts.length - 1} times, not once`);
  return { ...loaded, source: parts.join(mutant.replace) };
}
