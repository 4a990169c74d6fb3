/** `npm run bench -- raft-idle`: what groups cost that nobody uses: CPU and memory of each of three hosts that all hold the same groups. */
import { residentBytes } from "./processes.js";
import { Trio, type Member } from "./raft/members.js";
import { readSettings, row, say, sayMachine, sleep } from "./raft/settings.js";

const GOAL_CORE_PERCENT = 10;
const GOAL_MIB = 300;
const CHUNK = 250;
const SETTLE_LIMIT_MS = 300_000;
const LOOK_MS = 100;
/** After that, what happened last has come to rest. */
const QUIET_MS = 5_000;
const QUICK_QUIET_MS = 1_000;
const MIB = 1024 * 1024;

const settings = readSettings();
const groups = settings.count("groups", 10_000, 300);
const seconds = settings.count("seconds", 15, 2);

async function leadersOf(members: readonly Member[]): Promise<number[]> {
  const usages = await Promise.all(members.map((member) => member.call("usage")));
  return usages.map(({ leaders }) => leaders);
}

async function untilLed(trio: Trio, groups: number): Promise<void> {
  const beginMs = performance.now();
  for (;;) {
    const leaders = await leadersOf(trio.members);
    if (leaders.reduce((sum, each) => sum + each, 0) === groups) return;
    if (performance.now() - beginMs > SETTLE_LIMIT_MS)
      throw new Error(`${leaders.join(", ")} leaders on the three hosts after ${SETTLE_LIMIT_MS} ms, ${groups} groups`);
    await sleep(LOOK_MS);
  }
}

sayMachine(`raft-idle: ${groups} groups on each of three hosts`);
const trio = await Trio.start(settings.profile);
try {
  const { members } = trio;
  await sleep(QUICK_QUIET_MS);
  const empty = members.map(({ pid }) => residentBytes(pid));
  const beginMs = performance.now();
  // Chunk by chunk: thousands of elections at once are another benchmark.
  for (let first = 1; first <= groups; first += CHUNK) {
    const count = Math.min(CHUNK, groups + 1 - first);
    await trio.createGroups(first, count);
    await trio.campaign(first, count);
    await untilLed(trio, first + count - 1);
  }
  const startSeconds = ((performance.now() - beginMs) / 1_000).toFixed(1);
  say(`    all led after ${startSeconds} s: ${(await leadersOf(members)).join(", ")} on the three hosts`);
  await sleep(settings.quick ? QUICK_QUIET_MS : QUIET_MS);
  const before = await Promise.all(members.map((member) => member.call("usage")));
  const fromMs = performance.now();
  await sleep(seconds * 1_000);
  const after = await Promise.all(members.map((member) => member.call("usage")));
  const elapsed = (performance.now() - fromMs) / 1_000;
  members.forEach(({ storeId, pid }, i) => {
    const [from, to, emptyBytes, bytes] = [before[i], after[i], empty[i], residentBytes(pid)];
    if (from === undefined || to === undefined) return;
    row({
      name: `CPU of host ${storeId} with ${groups} idle groups`,
      unit: "% of a core",
      measured: (to.cpuMicroseconds - from.cpuMicroseconds) / elapsed / 1e4,
      goal: GOAL_CORE_PERCENT,
      better: "less",
    });
    if (emptyBytes === undefined || bytes === undefined) return;
    const name = `memory of host ${storeId} above an empty one`;
    row({ name, unit: "MiB", measured: (bytes - emptyBytes) / MIB, goal: GOAL_MIB, better: "less" });
    const [turns, syncs] = [to.turns - from.turns, to.syncs - from.syncs];
    say(
      `    empty ${(emptyBytes / MIB).toFixed(0)} MiB; ${(turns / elapsed).toFixed(0)} turns/s, ${syncs} fsyncs in all`,
    );
  });
} finally {
  await trio.close();
}
