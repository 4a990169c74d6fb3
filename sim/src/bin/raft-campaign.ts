/** Runs many raft worlds in this process: `raft-campaign.ts FROM COUNT STEP [FLAVOUR]`, a line of JSON per world on standard output. */
import { FLAVOURS } from "../raft/flavours.js";
import { runRaftWorld } from "../raft/raft-world.js";

const [from = "1", count = "1", step = "1", flavourName = ""] = process.argv.slice(2);
const flavour = FLAVOURS.find((name) => name === flavourName);
for (let i = 0; i < Number(count); i++) {
  const seed = Number(from) + i * Number(step);
  const report = await runRaftWorld(seed, flavour === undefined ? {} : { flavour });
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
