import assert from "node:assert/strict";
import fc from "fast-check";
import type { AutoscaleDemand, DesiredCluster } from "../../api/resolve.js";
import { describeStep } from "../action.js";
import type { AutoscaleMemory, Observed, PdView } from "../observed.js";
import { wanted } from "../plan-fixture.js";
import { plan, type Plan } from "../plan.js";
import { BAD_IMAGE, end, hasPdQuorum, isLive, newCluster, passTime, pdVoters, type SimCluster } from "./cluster.js";
import { execute, observe } from "./executor.js";
import { isHealthy, liveVoters, schedule, viewOf } from "./placement.js";

/** At about 10 ms each. */
const SEEDS = 1_000;
const FAULT_TICKS = 60;
const SETTLE_TICKS = 600;
/** Longer than any wait of the plan. */
const QUIET_TICKS = 25;
const AUTOSCALE: AutoscaleDemand = {
  ...{ minReplicas: 3, maxReplicas: 6, targetRegionsPerStore: 3, scaleInDelayMs: 20_000 },
  ...{ cooldownMs: 5_000, maxStep: 1, mode: "Auto" },
};

/** A cluster on paper under the plan's care. */
class World {
  readonly cluster: SimCluster;
  desired: DesiredCluster = wanted({ deadAfterMs: 20_000, operationLimit: 8 });
  readonly history: string[] = [];
  readonly random: () => number;
  #view: { readonly value: PdView; readonly atMs: number } | undefined;
  #autoscale: AutoscaleMemory | undefined;

  constructor(seed: number) {
    this.random = mulberry(seed);
    this.cluster = newCluster(this.random, 4 + Math.floor(this.random() * 3));
    if (this.random() < 0.5) this.desired = { ...this.desired, pdReplicas: 3 };
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)];
  }

  observed(): Observed {
    const { cluster } = this;
    if (hasPdQuorum(cluster)) this.#view = { value: viewOf(cluster), atMs: cluster.nowMs };
    const view = this.#view && { ...this.#view.value, ageMs: cluster.nowMs - this.#view.atMs };
    return { ...observe(cluster), view, ...(this.#autoscale === undefined ? {} : { autoscale: this.#autoscale }) };
  }

  /** Observes, plans, executes, lets a second pass. */
  turn(): Plan {
    const { cluster, desired } = this;
    const decided = plan(this.observed(), desired, cluster.nowMs);
    this.#autoscale = decided.autoscale;
    for (const action of decided.mode === "Reconcile" ? decided.actions : []) {
      this.note(`${describeStep(action)} (${action.reason}; ${action.proof})`);
      execute(cluster, action, desired);
    }
    passTime(cluster);
    schedule(cluster);
    return decided;
  }

  note(line: string): void {
    this.history.push(`${this.cluster.nowMs / 1000} s: ${line}`);
  }
}

/** Does one thing that happens to clusters. Never a second loss for ever before the first is healed: no plan could mend that. */
function disturb(world: World): void {
  const { cluster } = world;
  const store = world.pick(cluster.stores.filter((it) => isLive(it) && it.lifecycle === "up"));
  const host = world.pick(cluster.hosts);
  const pd = world.pick(cluster.pds.filter((it) => isLive(it)));
  const isPdWhole = pdVoters(cluster).length > 2 && pdVoters(cluster).every((it) => isLive(it));
  const isWhole = () =>
    cluster.regions.length > 0 &&
    isHealthy(cluster) &&
    cluster.hosts.every(({ state }) => state === "ready") &&
    cluster.stores.every(({ disk }) => disk === "present");
  const events: readonly (readonly [chance: number, name: string, happen: () => boolean])[] = [
    [0.03, "edit the stores", () => edit({ storeReplicas: 3 + Math.floor(world.random() * 3) })],
    [0.015, "edit PD", () => edit({ pdReplicas: world.pick([1, 3, 5] as const) ?? 3 })],
    [0.02, "another image", () => image(`v${Math.floor(world.random() * 3)}`)],
    [0.01, "a bad image", () => image(BAD_IMAGE)],
    [0.01, "autoscale", () => edit({ autoscale: { ...AUTOSCALE, targetRegionsPerStore: world.pick([2, 3, 5]) ?? 3 } })],
    [0.01, "no autoscale", () => dropAutoscale()],
    [0.01, "suspend", () => edit({ suspend: !world.desired.suspend })],
    [0.01, "another mode", () => edit({ mode: world.pick(["Plan", "Paused", "Reconcile"] as const) ?? "Reconcile" })],
    [0.05, `kill ${store?.name}`, () => store !== undefined && (end(cluster, store, 137), true)],
    [0.03, `kill ${pd?.name}`, () => pd !== undefined && (end(cluster, pd, 137), true)],
    [
      0.03,
      `lose the disk of ${store?.name}`,
      () => isWhole() && store !== undefined && ((store.disk = "missing"), true),
    ],
    [
      0.01,
      `delete the volume of ${store?.name}`,
      () => isWhole() && store !== undefined && ((store.disk = "terminating"), true),
    ],
    [0.02, `lose the disk of ${pd?.name}`, () => isPdWhole && pd !== undefined && ((pd.disk = "missing"), true)],
    [0.03, `${host?.name} is not ready`, () => hostState("notReady")],
    [0.02, `${host?.name} is gone`, () => isWhole() && isPdWhole && canLose() && hostState("gone")],
    [0.06, "a host is back", () => back()],
    [0.03, `cordon ${host?.name}`, () => host !== undefined && ((host.isCordoned = !host.isCordoned), true)],
    [0.02, "room", () => ((cluster.hasRoom = !cluster.hasRoom), true)],
    [0.02, `mark ${store?.name}`, () => store !== undefined && ((store.wantsDrain = !store.wantsDrain), true)],
    [0.01, `first ${store?.name}`, () => store !== undefined && ((store.removeFirst = !store.removeFirst), true)],
  ];
  const edit = (change: Partial<DesiredCluster>) => {
    world.desired = { ...world.desired, ...change, generation: world.desired.generation + 1 };
    return true;
  };
  const image = (next: string) => {
    cluster.image = next;
    return true;
  };
  const dropAutoscale = () => {
    const { autoscale: _, ...rest } = world.desired;
    world.desired = rest;
    return true;
  };
  const hostState = (state: "notReady" | "gone") => {
    if (host === undefined || host.state !== "ready") return false;
    Object.assign(host, { state, sinceMs: cluster.nowMs });
    return true;
  };
  /** No region and not PD hangs on this host. */
  const canLose = () => {
    const there = new Set(cluster.stores.filter((it) => it.host === host).map(({ storeId }) => storeId));
    const pds = pdVoters(cluster).filter((it) => it.host === host).length;
    const most = Math.max(...cluster.regions.map(({ voters }) => [...voters].filter((id) => there.has(id)).length));
    return most <= 1 && pds * 2 < pdVoters(cluster).length && cluster.hosts.length > 4;
  };
  const back = () => {
    const lost = world.pick(cluster.hosts.filter(({ state }) => state === "notReady"));
    if (lost === undefined) return false;
    Object.assign(lost, { state: "ready", sinceMs: cluster.nowMs });
    return true;
  };
  let roll = world.random();
  for (const [chance, name, happen] of events) {
    roll -= chance;
    if (roll >= 0) continue;
    if (happen()) world.note(`-- ${name}`);
    return;
  }
}

/** Ends all that hinders; what is lost stays lost. */
function calm(world: World, image: string): void {
  const { cluster } = world;
  world.note("-- calm");
  cluster.image = image;
  cluster.hasRoom = true;
  for (const host of cluster.hosts) {
    host.isCordoned = false;
    if (host.state === "notReady") Object.assign(host, { state: "ready", sinceMs: cluster.nowMs });
  }
  world.desired = { ...world.desired, suspend: false, mode: "Reconcile" };
}

/** Lets the plan work until it has been at rest. */
function settle(world: World): void {
  let quiet = 0;
  for (let tick = 0; tick < SETTLE_TICKS && quiet < QUIET_TICKS; tick++)
    quiet = world.turn().actions.length === 0 ? quiet + 1 : 0;
  assert.equal(quiet, QUIET_TICKS, "the plan does not come to rest");
}

/** Asserts that everything is as it is wanted. */
function assertSettled(world: World): void {
  const { cluster, desired } = world;
  const first = world.turn();
  const second = world.turn();
  const states = `${JSON.stringify(first.blocked)} ${JSON.stringify(first.status.conditions)}`;
  assert.deepEqual(first.actions, [], "actions");
  assert.deepEqual(first.blocked, [], "blocked");
  assert.deepEqual(second.status, first.status, "a status that changes at rest");
  assert.equal(first.status.conditions.find(({ type }) => type === "Ready")?.status, "True", states);
  const { stores } = cluster;
  assert.equal(stores.length, first.autoscale?.wanted ?? desired.storeReplicas, "records of stores");
  assert.equal(cluster.pds.length, desired.pdReplicas, "PD members");
  for (const it of [...stores, ...cluster.pds]) assert.equal(it.image, cluster.image, `image of ${it.name}`);
  for (const it of stores) assert.ok(isLive(it), `${it.name} serves`);
  for (const region of cluster.regions) {
    assert.equal(region.voters.size, 3, `voters of region ${region.regionId}`);
    assert.equal(liveVoters(cluster, region).length, 3, `live voters of region ${region.regionId}`);
  }
}

function run(seed: number): void {
  const world = new World(seed);
  try {
    for (let tick = 0; tick < FAULT_TICKS; tick++) {
      disturb(world);
      world.turn();
    }
    calm(world, world.pick(["v1", "v2"]) ?? "v1");
    settle(world);
    assertSettled(world);
  } catch (error) {
    throw new Error(`SEED=${seed}: ${(error as Error).message}\n${world.history.slice(-60).join("\n")}`, {
      cause: error,
    });
  }
}

function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("plan on a cluster on paper", () => {
  it("keeps every quorum through faults and edits, and settles as wanted", function () {
    this.timeout(120_000); // many seeds
    const first = fc.readConfigureGlobal().seed ?? 0; // SEED=n begins with world n
    for (let seed = first; seed < first + SEEDS; seed++) run(seed);
  });
});
