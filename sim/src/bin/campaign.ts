/** Runs many seeds in this process: `campaign.ts FROM COUNT STEP`, a line of JSON per world on standard output. */
import { runWorld } from "../world/sim-world.js";

const [from = "1", count = "1", step = "1"] = process.argv.slice(2);
for (let i = 0; i < Number(count); i++) {
  const report = await runWorld(Number(from) + i * Number(step));
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
