/** The main of `rheactl`. */
import { fileURLToPath } from "node:url";
import { runCli } from "../index.js";

// A reader that has seen enough (`rheactl scan | head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  projectRoot: fileURLToPath(new URL("../../..", import.meta.url)),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  isTerminal: process.stderr.isTTY,
  connect: async (target) => (await import("@rhea/client/env-node")).connect(target),
  connectAdmin: async (target) => (await import("@rhea/client/env-node")).connectAdmin(target),
  offline: () => import("../offline/index.js"),
  now: () => performance.now(),
  sleep: (ms) =>
    new Promise((resolve) => {
      setTimeout(resolve, ms);
    }),
});
