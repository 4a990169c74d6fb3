// `npm run check`: everything that judges the code without running it. A new check is one more line in CHECKS.
import { existsSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runAtMost, runCommand } from "./run-command.mjs";
import { ROOT, setupOrExit } from "./setup.mjs";
import { workspaces } from "./setup/workspaces.mjs";

const AT_ONCE = 2;

/** Folders beside the packages that hold TypeScript, and those of them that are built by themselves. */
const others = ["e2e", "bench", "examples"].filter((folder) => existsSync(join(ROOT, folder)));
const tools = others.filter((folder) => existsSync(join(ROOT, folder, "tsconfig.json")));

/**
 * The checks, longest first. Each is a list of commands that must all succeed.
 *
 * @type {readonly { name: string, commands: readonly (readonly string[])[] }[]}
 */
const CHECKS = [
  { name: "lint", commands: [["eslint", "--max-warnings=0", "."]] },
  {
    name: "types",
    commands: [
      ["tsc", "-b", ".", ...tools],
      ["tsc", "-p", "scripts"],
    ],
  },
  { name: "format", commands: [["prettier", "--check", "--log-level=warn", "."]] },
  { name: "dead code", commands: [["knip", "--no-config-hints"]] },
  {
    name: "arrows",
    commands: [
      ["depcruise", "--config", ".dependency-cruiser.cjs", "--output-type", "err-long", ...workspaces(ROOT), ...others],
    ],
  },
  { name: "generated code is fresh", commands: [["node", "scripts/fresh.mjs"]] },
];

/**
 * Runs every check and prints each with its seconds, and its output when it fails.
 *
 * @returns {Promise<{ passed: number, failed: number }>}
 */
export async function runChecks() {
  const totals = { passed: 0, failed: 0 };
  await runAtMost(AT_ONCE, CHECKS, async ({ name, commands }) => {
    let seconds = 0;
    for (const command of commands) {
      const result = await runCommand(command);
      seconds += result.seconds;
      if (result.ok) continue;
      totals.failed++;
      console.log(`FAILED  ${name} (${seconds.toFixed(1)} s): ${command.join(" ")}\n${result.output.trimEnd()}\n`);
      return;
    }
    totals.passed++;
    console.log(`ok      ${name} (${seconds.toFixed(1)} s)`);
  });
  return totals;
}

if (process.argv[1] && realpathSync(process.argv[1]) === realpathSync(fileURLToPath(import.meta.url))) {
  await setupOrExit({ build: false });
  const { passed, failed } = await runChecks();
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}
