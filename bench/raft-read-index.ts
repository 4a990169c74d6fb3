/** `npm run bench -- raft-read-index`: linearizable reads (`readIndex()`) per second of one group, on its leader and on a follower. */
import { makeLoadedGroup, measure, renderCpu } from "./raft/load.js";
import { Trio } from "./raft/members.js";
import { readSettings, row, say, sayMachine } from "./raft/settings.js";

const GOAL_PER_SECOND = 200_000;
const WARM_UP_SECONDS = 1;

const settings = readSettings();
const seconds = settings.count("seconds", 5, 1);
const outstanding = settings.count("outstanding", 1_024, 1_024);

sayMachine("raft-read-index: one group, three processes");
const trio = await Trio.start(settings.profile);
try {
  await makeLoadedGroup(trio);
  for (const storeId of [1, 2]) {
    await measure(trio, storeId, "read", { outstanding, valueBytes: 1, seconds: WARM_UP_SECONDS });
    const result = await measure(trio, storeId, "read", { outstanding, valueBytes: 1, seconds });
    const { operations, used, p50Ms, p99Ms } = result;
    row({
      name: `ReadIndex on the ${storeId === 1 ? "leader" : "follower"}, ${outstanding} at a time`,
      unit: "/s",
      measured: operations / result.seconds,
      ...(storeId === 1 ? { goal: GOAL_PER_SECOND } : {}),
      better: "more",
    });
    say(`    ${renderCpu(result, storeId)}`);
    const rounds = used.get(storeId)?.readRounds ?? 0;
    say(
      `    latency p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms; ${(operations / Math.max(1, rounds)).toFixed(0)} per round, ` +
        `${(rounds / result.seconds).toFixed(0)} rounds/s`,
    );
  }
} finally {
  await trio.close();
}
