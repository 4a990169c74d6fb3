import assert from "node:assert/strict";
import { RheaError, silentLogger } from "@rhea/common";
import { VirtualTime } from "../kube/virtual-time.js";
import { FakeLeases } from "./fake-leases.js";
import { createLeaderElection, type LeaderElection, type LeaderElectionOptions } from "./leader-election.js";

type Fault = "none" | "down" | "hang" | "lost";

interface Candidate {
  readonly election: LeaderElection;
  readonly log: string[];
  fault: Fault;
  signal: AbortSignal | undefined;
}

describe("leader election", () => {
  let time: VirtualTime;
  let leases: FakeLeases;
  let candidates: Candidate[];

  function candidate(identity: string, more: Partial<LeaderElectionOptions> = {}): Candidate {
    const log: string[] = [];
    const made: Candidate = {
      election: createLeaderElection({
        client: leases.client(() => made.fault),
        clock: time.clock,
        scheduler: time.scheduler,
        rng: time.rng,
        logger: silentLogger,
        namespace: "ns",
        name: "rhea-operator",
        identity,
        onStartedLeading: (signal) => {
          made.signal = signal;
          log.push(`started at ${time.clock.monotonicMs()}`);
        },
        onStoppedLeading: () => void log.push(`stopped at ${time.clock.monotonicMs()}`),
        ...more,
      }),
      log,
      fault: "none",
      signal: undefined,
    };
    candidates.push(made);
    return made;
  }

  beforeEach(() => {
    time = new VirtualTime();
    leases = new FakeLeases(time.scheduler);
    candidates = [];
  });

  afterEach(async () => {
    for (const one of candidates) one.fault = "none";
    await Promise.all(candidates.map(({ election }) => election.close()));
    assert.deepEqual(time.delays, [], "no timer is left");
  });

  it("elects one, which renews every two seconds; the other only looks", async () => {
    const a = candidate("a");
    const b = candidate("b");
    a.election.start();
    await time.advance(100);
    b.election.start();
    await time.advance(60_000);
    assert.deepEqual(a.log, ["started at 0"]);
    assert.deepEqual(b.log, []);
    assert.equal(b.election.leader, "a");
    assert.equal(leases.writes, 31);
    assert.equal(leases.lease?.spec?.leaseDurationSeconds, 15);
    assert.match(leases.lease.spec.renewTime ?? "", /^2026-01-01T00:01:00\.000000Z$/);
  });

  it("takes over 15 s after it last saw the record change, whatever the clocks say", async () => {
    const a = candidate("a");
    a.election.start();
    await time.advance(4_000);
    const b = candidate("b");
    b.election.start();
    time.wallOffsetMs += 3_600_000; // an hour ahead: the record looks long expired
    await time.advance(1_000);
    a.fault = "hang";
    await time.advance(13_000);
    assert.equal(b.log.length, 0);
    await time.advance(20_000);
    assert.equal(b.log.length, 1);
    const startedAt = Number(b.log.join("").split(" ").at(-1));
    assert(startedAt >= 19_000 && startedAt < 19_000 + 4_500, `${startedAt}`);
    assert.equal(leases.lease?.spec?.leaseTransitions, 1);
    assert.equal(a.election.isLeader(), false);
  });

  it("ceases to lead ten seconds after the last renewal began, by the clock alone", async () => {
    const a = candidate("a");
    a.election.start();
    await time.advance(2_500);
    a.fault = "hang"; // the renewal at 4,000 and all later ones
    await time.advance(9_499);
    assert.equal(a.election.isLeader(), true);
    assert.equal(a.signal?.aborted, false);
    await time.advance(1);
    assert.equal(a.election.isLeader(), false);
    assert.equal(a.signal.aborted, true);
    assert.deepEqual(a.log, ["started at 0", "stopped at 12000"]);
  });

  it("never has two leaders, whatever calls fail, hang or lose their answers", async () => {
    const faults: Fault[] = ["none", "none", "none", "down", "lost"];
    const all = ["a", "b", "c"].map((identity) => candidate(identity));
    for (const { election } of all) election.start();
    let reigns = 0;
    for (let step = 0; step < 3_000; step += 1) {
      if (step % 20 === 0) for (const one of all) one.fault = faults[time.rng.int(faults.length)] ?? "none";
      await time.advance(100 + time.rng.int(400));
      const leaders = all.filter(({ election }) => election.isLeader());
      assert(leaders.length <= 1, `step ${step}: ${leaders.length} leaders`);
      reigns += leaders.length;
    }
    assert(reigns > 1_000, `some lead most of the time: ${reigns}`);
    assert(all.filter(({ log }) => log.length > 0).length >= 2, "the lead changed hands");
  }).timeout(30_000);

  it("goes on leading when the answer of a renewal is lost", async () => {
    const a = candidate("a", { renewDeadlineMs: 10_000 });
    a.election.start();
    await time.advance(1_000);
    const written = leases.lease;
    leases.lease = { ...written, metadata: { ...written?.metadata, resourceVersion: "99" } }; // a write that it knows nothing of
    await time.advance(20_000);
    assert.deepEqual(a.log, ["started at 0"]);
  });

  it("gives the lease back on close, after its work ended; the next need not wait", async () => {
    let endWork = (): void => undefined;
    const working = new Promise<void>((resolve) => (endWork = resolve));
    const a = candidate("a", { onStoppedLeading: () => working });
    const b = candidate("b");
    a.election.start();
    await time.advance(1_000);
    b.election.start();
    const closing = a.election.close();
    await time.advance(10_000);
    assert.deepEqual(b.log, [], "the work of the old leader is not done");
    endWork();
    await time.advance(5_000);
    await closing;
    assert.equal(b.log.length, 1);
    assert.equal(leases.lease?.spec?.holderIdentity, "b");
  });

  it("stands again after it lost", async () => {
    const a = candidate("a");
    a.election.start();
    await time.advance(1_000);
    a.fault = "down";
    await time.advance(20_000);
    assert.equal(a.election.isLeader(), false);
    a.fault = "none";
    await time.advance(5_000);
    assert.equal(a.election.isLeader(), true);
    assert.equal(a.log.length, 3);
    assert.equal(leases.lease?.spec?.leaseTransitions, 0, "it held the lease all along");
  });

  it("refuses times that cannot be safe", () => {
    assert.throws(
      () => createLeaderElection({ ...({} as LeaderElectionOptions), leaseDurationMs: 10_000 }),
      (error) => error instanceof RheaError && error.code === "INVALID_ARGUMENT",
    );
  });
});
