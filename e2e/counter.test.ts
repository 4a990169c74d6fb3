/** `examples/counter` as a user runs it: real processes, killed under load, changed, and started again from their snapshots. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RheaError } from "@rhea/common";
import { parseConfiguration, parsePeer, type Configuration, type PeerInfo } from "@rhea/raft";
import { CounterClient } from "../examples/counter/client.js";
import { COUNTER_GROUP } from "../examples/counter/counter-methods.js";
import { killAll, launch, run, until, type Running } from "./harness/process.js";

const at = (file: string) => fileURLToPath(new URL(`../examples/counter/${file}`, import.meta.url));
/** The example runs from its sources, and so do the packages below it: nothing has to be built. */
const node = (file: string, args: readonly string[]) => ["--conditions=rhea-source", "--import=tsx", at(file), ...args];

const WRITERS = 8;
/** Acknowledged increments between two kills, and after the last. */
const BETWEEN_KILLS = 100;
const KILLS = 3;

/** A cheap, replayable choice: the moments of the kills are not replayable anyway. */
function createChoice(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * bound);
  };
}

async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
}

describe("examples/counter", function () {
  this.timeout(180_000);
  let root: string;
  let addresses: string[];
  let members: string;
  let configuration: Configuration;
  let client: CounterClient;
  const running = new Map<string, Running>();

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "rhea-counter-"));
    addresses = [await freeAddress(), await freeAddress(), await freeAddress()];
    members = addresses.join(",");
    configuration = parseConfiguration(members);
    client = new CounterClient(members);
    await Promise.all(addresses.map((address) => start(address)));
  });
  afterEach(async () => {
    client.close();
    await killAll();
    running.clear();
    rmSync(root, { recursive: true, force: true });
  });

  async function start(address: string, how: readonly string[] = ["--peers", members]): Promise<void> {
    const data = join(root, address.replace(":", "-"));
    const [first = "", ...rest] = node("counter-server.ts", ["--data", data, "--address", address, ...how]);
    const process = launch(first, rest);
    running.set(address, process);
    await process.says(/counter-server ready: /, 60_000);
  }

  async function stop(address: string, signal: "SIGKILL" | "SIGTERM"): Promise<number | string> {
    const process = running.get(address) ?? assert.fail(`nothing runs at ${address}`);
    running.delete(address);
    process.kill(signal);
    return (await process.ended).code;
  }

  const leader = (): Promise<PeerInfo> =>
    until("a leader", () => client.cli.getLeader(COUNTER_GROUP, configuration).catch(() => undefined), 30_000);
  const addressOf = ({ address }: PeerInfo): string => address ?? assert.fail("a peer without an address");

  it("loses no acknowledged increment and counts none twice, however often its leader is killed", async () => {
    const choose = createChoice(Number(process.env["SEED"] ?? 1));
    const acknowledged: number[] = [];
    const unknown: RheaError[] = [];
    let isDone = false;
    const write = async (): Promise<void> => {
      while (!isDone) {
        try {
          acknowledged.push(await client.incrementAndGet(1));
        } catch (error) {
          assert.ok(error instanceof RheaError, String(error));
          if (error.details.maybeApplied === true) unknown.push(error);
        }
      }
    };
    const read = async (): Promise<void> => {
      while (!isDone) {
        const least = acknowledged.reduce((most, value) => Math.max(most, value), 0);
        const where = addresses[choose(addresses.length)];
        const value = await client.get(where).catch(() => undefined);
        if (value !== undefined) assert.ok(value >= least, `${where} read ${value} after ${least} was acknowledged`);
      }
    };
    const working = [...Array.from({ length: WRITERS }, () => write()), read()];
    const more = async (): Promise<void> => {
      const goal = acknowledged.length + BETWEEN_KILLS;
      await until(`${goal} increments`, () => Promise.resolve(acknowledged.length >= goal || undefined), 60_000);
    };
    const kills: string[] = [];
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        await more();
        const victim = addressOf(await leader());
        kills.push(victim);
        await stop(victim, "SIGKILL");
        if (choose(2) === 0) await more(); // the other two go on without it
        await start(victim);
      }
      await more();
    } finally {
      isDone = true;
      await Promise.all(working);
    }

    const value = await until("a read at the leader", () => client.get().catch(() => undefined));
    const story = `${value} after ${acknowledged.length} acknowledged, ${unknown.length} unknown, kills: ${kills.join(" ")}`;
    assert.equal(new Set(acknowledged).size, acknowledged.length, `two increments saw the same value: ${story}`);
    assert.ok(value >= acknowledged.length, `lost: ${story}`);
    assert.ok(value <= acknowledged.length + unknown.length, `counted twice: ${story}`);
    for (const address of addresses) {
      // The channel to the one that was killed last may still be resting after a refusal.
      const there = await until(`a read at ${address}`, () => client.get(address).catch(() => undefined));
      assert.equal(there, value, `at ${address}: ${story}`);
    }
  });

  it("takes a learner in, moves its leader, and comes back from its snapshots", async () => {
    const { cli } = client;
    assert.equal(await client.incrementAndGet(40), 40);

    const newcomer = await freeAddress();
    await start(newcomer, ["--join"]);
    const learner = parsePeer(`${newcomer}/learner`);
    await cli.addLearners(COUNTER_GROUP, configuration, [learner]);
    assert.deepEqual((await cli.getLearners(COUNTER_GROUP, configuration)).map(addressOf), [newcomer]);
    assert.equal(await until("a read at the learner", () => client.get(newcomer).catch(() => undefined)), 40);

    const before = await leader();
    const target = configuration.find(({ address }) => address !== before.address) ?? assert.fail("no follower");
    await cli.transferLeader(COUNTER_GROUP, configuration, target);
    assert.equal((await leader()).address, target.address);
    // The client still believes in the old one, which says who leads now.
    assert.equal(await client.incrementAndGet(2), 42);

    const everyone = [...configuration, learner];
    for (const peer of everyone) await cli.snapshot(COUNTER_GROUP, peer);
    assert.equal(await client.incrementAndGet(1), 43);
    for (const address of [...running.keys()]) assert.equal(await stop(address, "SIGTERM"), 0);
    await Promise.all([...addresses.map((address) => start(address)), start(newcomer, ["--join"])]);
    await leader();
    for (const address of [...addresses, newcomer]) {
      const value = await until(`a read at ${address}`, () => client.get(address).catch(() => undefined));
      assert.equal(value, 43);
    }
    assert.equal(await client.incrementAndGet(1), 44);
  });

  it("says on SIGUSR2 what it is at, and what is wrong with its arguments", async () => {
    const [address = ""] = addresses;
    const process = running.get(address) ?? assert.fail("it does not run");
    process.kill("SIGUSR2");
    await process.says(new RegExp(`group ${COUNTER_GROUP}\\b`));
    const [first = "", ...rest] = node("counter-server.ts", ["--data", root]);
    const ended = await run(first, rest);
    assert.equal(ended.code, 2);
    assert.match(ended.err, /INVALID_ARGUMENT: .*needed\nusage: counter-server/);
  });
});
