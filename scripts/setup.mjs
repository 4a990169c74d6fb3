// Makes a clone ready to run: right Node, dependencies as the lock file says, everything built. `npm start`, `npm test` and the other
// scripts begin with it, so it may use nothing but Node itself, and costs next to nothing when there is nothing to do.
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildIsStale, runBuild } from "./setup/build.mjs";
import { commandsAreMissing, installIsStale, linkCommands, runInstall } from "./setup/install.mjs";
import { withLock } from "./setup/lock.mjs";
import { SetupError } from "./setup/setup-error.mjs";

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, "");

const OLDEST_NODE = { major: 20, minor: 19 };

/**
 * Refuses a Node that is too old for the dependencies.
 *
 * @param {string} version as `process.versions.node` has it
 * @throws {SetupError}
 */
export function requireNode(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST_NODE.major || (major === OLDEST_NODE.major && minor >= OLDEST_NODE.minor)) return;
  throw new SetupError(
    `this is Node ${version}`,
    `install Node ${OLDEST_NODE.major}.${OLDEST_NODE.minor} or later, then try again`,
  );
}

/**
 * Installs and builds what is missing or stale. Safe to run twice at once: the second waits for the first. All its output goes to
 * standard error, so that a command's own output stays clean.
 *
 * @param {{ root?: string, build?: boolean }} [options] `build` (default true): false installs only
 * @throws {SetupError} with the cause and the next step
 */
export async function setup({ root = ROOT, build = true } = {}) {
  requireNode(process.versions.node);
  if (installIsStale(root) === undefined && !commandsAreMissing(root) && !(build && buildIsStale(root))) return;
  await withLock(root, () => {
    const reason = installIsStale(root);
    if (reason !== undefined) runInstall(root, reason);
    if (commandsAreMissing(root)) linkCommands(root);
    if (build && buildIsStale(root)) runBuild(root);
  });
}

/**
 * Runs {@link setup} for a script: prints what went wrong and ends the process.
 *
 * @param {Parameters<typeof setup>[0]} [options]
 */
export async function setupOrExit(options) {
  try {
    await setup(options);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === realpathSync(fileURLToPath(import.meta.url))) {
  await setupOrExit();
}
