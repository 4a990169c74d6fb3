/** `npm run bench -- raft-failover`: from SIGKILL of a leader's process to a new leader, with the default timeouts. */
import { LOADED_GROUP, makeLoadedGroup } from "./raft/load.js";
import { Trio } from "./raft/members.js";
import { readSettings, row, say, sayMachine, sleep } from "./raft/settings.js";

const GOAL_MS = 1_200;
const LIMIT_MS = 30_000;
const LOOK_MS = 50;
/** Between two kills, at random up to twice that: so that they fall anywhere between two heartbeats. */
const REST_MS = 300;

const settings = readSettings();
const kills = settings.count("kills", 20, 3);

/** Kills the leader, starts it again; returns the store that leads then and the ms it took. */
async function killLeader(trio: Trio, leader: number): Promise<{ readonly next: number; readonly ms: number }> {
  const followers = trio.members.filter(({ storeId }) => storeId !== leader);
  const elected = new Promise<number>((resolve) => {
    for (const member of followers) {
      member.onLeading = () => {
        resolve(member.storeId);
      };
    }
  });
  const tooLate = sleep(LIMIT_MS).then((): never => {
    throw new Error(`no new leader ${LIMIT_MS} ms after store ${leader} was killed`);
  });
  const beginMs = performance.now();
  const gone = trio.member(leader).kill();
  const next = await Promise.race([elected, tooLate]);
  const ms = performance.now() - beginMs;
  tooLate.catch(() => undefined);
  for (const member of followers) member.onLeading = undefined;
  await gone;
  await trio.restart(leader);
  await trio.member(leader).call("createGroups", {
    firstGroup: LOADED_GROUP,
    count: 1,
    stores: trio.stores,
  });
  await untilCaughtUp(trio, next);
  return { next, ms };
}

async function untilCaughtUp(trio: Trio, leader: number): Promise<void> {
  const beginMs = performance.now();
  for (;;) {
    const views = await Promise.all(trio.members.map((member) => member.call("group", LOADED_GROUP)));
    const led = views[leader - 1];
    const isSame = views.every((view) => view.leader === led?.leader && view.applied === led.lastIndex);
    if (isSame && led?.leader !== 0) return;
    if (performance.now() - beginMs > LIMIT_MS) throw new Error(`a member did not catch up: ${JSON.stringify(views)}`);
    await sleep(LOOK_MS);
  }
}

sayMachine(`raft-failover: one group, three processes, ${kills} kills`);
const trio = await Trio.start(settings.profile);
try {
  await makeLoadedGroup(trio);
  const times: number[] = [];
  let leader = 1;
  for (let kill = 0; kill < kills; kill++) {
    await sleep(Math.random() * 2 * REST_MS);
    const { next, ms } = await killLeader(trio, leader);
    times.push(ms);
    leader = next;
  }
  times.sort((a, b) => a - b);
  const [least = 0, median = 0, most = 0] = [times[0], times[Math.floor(times.length / 2)], times.at(-1)];
  row({
    name: `leader killed to new leader, median of ${kills}`,
    unit: "ms",
    measured: median,
    goal: GOAL_MS,
    better: "less",
  });
  say(`    least ${least.toFixed(0)} ms, most ${most.toFixed(0)} ms`);
} finally {
  await trio.close();
}
