import { deepEqual, equal, ok } from "node:assert/strict";
import type { RheaError } from "@rhea/common";
import type { PeerInfo } from "./api.js";
import { TestWorld, type TestStore } from "./test-store.js";
import { settle } from "./test-settle.js";
import { seededRng } from "./test-world.js";

const STORES = 6;
const COUNT = 12;
const FIRST = Number(process.env["SEED"] ?? 1);
const SEEDS = Array.from({ length: process.env["SEED"] === undefined ? COUNT : 1 }, (_, i) => FIRST + i);
/** Outcomes that a change may have in a group whose processes die and are cut off. */
const EXPECTED = new Set([
  "CONF_CHANGE_BUSY",
  "LEADER_NOT_AVAILABLE",
  "NOT_FOUND",
  "NOT_LEADER",
  "OPERATION_REFUSED",
  "PROPOSAL_DROPPED",
  "SHUTTING_DOWN",
  "STALE_COMMAND",
  "TRANSFER_FAILED",
]);

/** One life of a group: changes of all kinds, writes, killed processes and cuts; then peace. */
class Story {
  readonly world: TestWorld;
  readonly written = new Set<string>();
  readonly outcomes = new Map<string, number>();
  readonly surprises: string[] = [];
  readonly #int: (bound: number) => number;
  #texts = 0;

  constructor(seed: number) {
    this.world = new TestWorld(settle, seed);
    const rng = seededRng(seed * 7_919);
    this.#int = (bound) => rng.int(bound);
  }

  async run(steps: number): Promise<void> {
    const { world } = this;
    await world.start(3);
    await world.write("begin");
    while (world.stores.length < STORES) await world.addStore();
    for (let i = 0; i < steps; i++) {
      this.#collect();
      await this.#step();
      await world.time.run(this.#int(400));
    }
    world.net.heal();
    this.#collect();
    for (const store of world.stores) if (!store.isOpen) await store.open();
  }

  /** Notes what leaders applied with its context: it is promised. */
  #collect(): void {
    for (const { machines } of this.world.stores) {
      for (const context of machines.get(7)?.contexts ?? []) this.written.add(String(context));
    }
  }

  #pick<T>(of: readonly T[]): T {
    return of[this.#int(of.length)] as T;
  }

  async #step(): Promise<void> {
    const { world } = this;
    const leader = world.leader();
    switch (this.#int(12)) {
      case 0: {
        const open = world.stores.filter(({ isOpen }) => isOpen);
        if (open.length > STORES - 2) this.#pick(open).kill();
        return;
      }
      case 1:
      case 2: {
        const closed = world.stores.filter(({ isOpen }) => !isOpen);
        if (closed.length > 0) await this.#pick(closed).open();
        return;
      }
      case 3:
        world.net.isolate(this.#pick(world.names), world.names);
        return;
      case 4:
      case 5:
        world.net.heal();
        return;
      default:
        if (leader !== undefined) this.#ask(leader);
    }
  }

  #ask(leader: TestStore): void {
    const node = leader.node();
    const text = `text ${++this.#texts}`;
    node.readIndex().then(
      () => undefined,
      () => undefined,
    );
    try {
      node.apply({ data: Buffer.from(text), context: text });
    } catch {
      // Not taken in: nothing is promised.
    }
    const peer = (role: PeerInfo["role"]): PeerInfo => {
      const storeId = 1 + this.#int(STORES);
      return { peerId: 10 + storeId, storeId, role };
    };
    const some = (role: PeerInfo["role"]): PeerInfo[] => {
      const chosen = new Map<number, PeerInfo>();
      for (let i = 1 + this.#int(4); i > 0; i--) {
        const one = peer(role);
        chosen.set(one.peerId, one);
      }
      return [...chosen.values()];
    };
    const requests: (() => Promise<void>)[] = [
      () => node.addPeer(peer("voter"), { catchUpTimeoutMs: 1_000 }),
      () => node.addPeer(peer("learner")),
      () => node.removePeer(peer("voter").peerId),
      () => node.changePeers(some("voter"), { catchUpTimeoutMs: 1_000 }),
      () => node.changePeers([...some("voter"), ...some("learner")], { catchUpTimeoutMs: 1_000 }),
      () => node.resetLearners(some("learner")),
      () => node.transferLeadershipTo("any"),
    ];
    this.#pick(requests)().then(
      () => this.#note("success"),
      (thrown: unknown) => {
        const { code, message } = thrown as RheaError;
        this.#note(code);
        if (!EXPECTED.has(code)) this.surprises.push(`${code}: ${message}`);
      },
    );
  }

  #note(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }
}

describe("raft host: random changes of the configuration among failures", () => {
  const total = new Map<string, number>();

  for (const seed of SEEDS) {
    it(`end in one configuration that all members agree on, with nothing lost (seed ${seed})`, async () => {
      const story = new Story(seed);
      await story.run(60);
      const { world } = story;
      await world.time.until(
        "a leader outside of any joint configuration",
        () => {
          const { confState } = world.leader()?.node().status() ?? {};
          return confState !== undefined && confState.votersOutgoing.length === 0;
        },
        60_000,
      );
      // Requests that were under way end, and what they brought in and gave up is out again.
      await world.time.run(5_000);
      const leader = await world.elected();
      leader.node().apply({ data: Buffer.from("end"), context: "end" });
      const stores = leader
        .node()
        .listPeers()
        .map(({ storeId }) => world.store(storeId));
      await world.time.until(
        "all members have all",
        () => stores.every((store) => store.machines.get(7)?.data.texts.includes("end") === true),
        60_000,
      );
      for (const store of stores) {
        deepEqual(store.texts(), leader.texts(), `${store.name} applied something else`);
        deepEqual(store.node().status().confState, leader.node().status().confState, store.name);
        equal(store.node().status().error, undefined);
      }
      equal(new Set(leader.texts()).size, leader.texts().length, "an entry was applied twice");
      ok(story.written.size > 0, `${story.written.size} writes`);
      for (const text of story.written) ok(leader.texts().includes(text), `${text} is lost`);
      for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
      deepEqual(story.surprises, []);
      for (const [outcome, count] of story.outcomes) total.set(outcome, (total.get(outcome) ?? 0) + count);
    });
  }

  after("met success, refusal and loss of leadership", () => {
    if (SEEDS.length < COUNT) return;
    for (const outcome of ["success", "CONF_CHANGE_BUSY", "OPERATION_REFUSED", "NOT_LEADER"]) {
      ok((total.get(outcome) ?? 0) > 0, `${outcome} never came: ${JSON.stringify([...total])}`);
    }
  });
});
