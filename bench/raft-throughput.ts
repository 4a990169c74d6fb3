/**
 * `npm run bench -- raft-throughput`: committed entries per second of one group over three processes, with fsync. Proposed inside the leader's
 * process, as an embedder does; an entry counts when the leader's state machine has it.
 */
import { makeLoadedGroup, measure, renderCpu } from "./raft/load.js";
import { Trio } from "./raft/members.js";
import { readSettings, row, say, sayMachine } from "./raft/settings.js";

const GOAL_PER_SECOND = 60_000;
const GOAL_CPU = 20;
const WARM_UP_SECONDS = 2;

const settings = readSettings();
const seconds = settings.count("seconds", 10, 1);
const outstanding = settings.count("outstanding", 1_024, 1_024);
const valueBytes = settings.count("value-bytes", 100, 100);

sayMachine("raft-throughput: one group, three processes");
const trio = await Trio.start(settings.profile);
try {
  await makeLoadedGroup(trio);
  const warmUp = settings.quick ? 1 : WARM_UP_SECONDS;
  await measure(trio, 1, "propose", { outstanding, valueBytes, seconds: warmUp });
  const result = await measure(trio, 1, "propose", { outstanding, valueBytes, seconds });
  const { operations, used, p50Ms, p99Ms, cpuPerOperation } = result;
  const name = `entries of ${valueBytes} bytes, ${outstanding} at a time`;
  row({ name, unit: "/s", measured: operations / result.seconds, goal: GOAL_PER_SECOND, better: "more" });
  row({
    name: "CPU per entry, all three processes",
    unit: "us",
    measured: cpuPerOperation,
    goal: GOAL_CPU,
    better: "less",
  });
  say(`    ${renderCpu(result, 1)}`);
  say(`    latency p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`);
  for (const [storeId, { syncs, syncSeconds, turns, messagesSent }] of used) {
    const rate = (syncs / result.seconds).toFixed(0);
    const each = ((syncSeconds / Math.max(1, syncs)) * 1e6).toFixed(0);
    const perTurn = (operations / Math.max(1, turns)).toFixed(1);
    say(
      `    store ${storeId}: ${rate} fsyncs/s of ${each} us, ${(operations / Math.max(1, syncs)).toFixed(1)} entries per fsync, ` +
        `${perTurn} per turn, ${(operations / Math.max(1, messagesSent)).toFixed(1)} per message sent`,
    );
  }
} finally {
  await trio.close();
}
