import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeDisk } from "@rhea/common/env-node";
import { Command, CommandKind, ReadKind, type CommandInit, type CommandResult } from "@rhea/proto";
import type { SnapshotWriter } from "@rhea/raft";
import { RheaError, type Disk, type ErrorCode } from "@rhea/common";
import { encodeEntry } from "../format/entry.js";
import { createFakeKv, type FakeKv } from "../testing/fake-kv.js";
import { createFakeRaft, type FakeRaft } from "../testing/fake-raft.js";
import { createVirtualEnv, type VirtualEnv } from "../testing/virtual-env.js";
import { createRegionMachine } from "../region/region-machine.js";
import type { Region } from "../region/region.js";
import type { RegionHandle } from "./api.js";
import { openEngineWith } from "./open-engine-with.js";
import type { StoreEngineCore } from "./store-engine.js";

const REGION = 10;
const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const CLIENT = Buffer.alloc(16, 1);

interface Subject {
  env: VirtualEnv;
  kv: FakeKv;
  raft: FakeRaft;
  engine: StoreEngineCore;
  region: RegionHandle;
}

async function settled<T>(env: VirtualEnv, promise: Promise<T>): Promise<T> {
  const state = { isDone: false };
  const done = (): boolean => (state.isDone = true);
  promise.then(done, done);
  for (let i = 0; i < 50 && !state.isDone; i++) await env.settle();
  return promise;
}

async function open(
  kv: FakeKv = createFakeKv({}),
  env = createVirtualEnv(),
  raft = createFakeRaft(env.scheduler),
): Promise<Subject> {
  const engine = await settled(
    env,
    openEngineWith(
      {
        env,
        clusterId: 1,
        storeId: 1,
        incarnation: 1,
        bootNonce: Buffer.alloc(16),
        kv,
        logDirectory: "log",
        snapshotDirectory: "snapshots",
        initialRegions: [
          { regionId: REGION, startKey: bytes(""), endKey: bytes(""), voters: [{ peerId: 11, storeId: 1 }] },
        ],
        resolveStore: (storeId) => `store-${storeId}:1`,
        onFatal: (error) => {
          throw error;
        },
      },
      raft,
    ),
  );
  raft.setLeader(REGION, true);
  const region = engine.region(REGION);
  assert.ok(region);
  return { env, kv, raft, engine, region };
}

async function execute({ env, region }: Subject, command: CommandInit): Promise<CommandResult> {
  return settled(env, region.execute(command));
}

async function put(subject: Subject, key: string, value: string): Promise<CommandResult> {
  return execute(subject, { kind: CommandKind.CMD_PUT, key: bytes(key), value: bytes(value) });
}

async function get(subject: Subject, key: string): Promise<string | undefined> {
  const result = await settled(subject.env, subject.region.read({ kind: ReadKind.READ_GET, key: bytes(key) }));
  return result.value === null ? undefined : Buffer.from(result.value).toString("latin1");
}

async function refused(promise: Promise<unknown>, code: ErrorCode): Promise<RheaError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof RheaError);
    assert.equal(error.code, code, error.message);
    return error;
  }
  return assert.fail(`expected ${code}`);
}

describe("store engine", () => {
  it("puts and gets, also from the entry's bytes alone", async () => {
    const subject = await open();
    await put(subject, "a", "1");
    assert.equal(await get(subject, "a"), "1");
    subject.raft.forgetContexts = true;
    void subject.region.execute({ kind: CommandKind.CMD_PUT, key: bytes("b"), value: bytes("2") });
    await subject.env.settle();
    assert.equal(await get(subject, "b"), "2");
  });

  it("makes one entry of all commands of a turn, each seeing the ones before it", async () => {
    const subject = await open();
    const before = subject.region.appliedIndex;
    const put = (value: string) =>
      subject.region.execute({ kind: CommandKind.CMD_PUT_IF_ABSENT, key: bytes("k"), value: bytes(value) });
    const [first, second] = await settled(subject.env, Promise.all([put("1"), put("2")]));
    assert.equal(subject.region.appliedIndex, before + 1);
    assert.deepEqual([first.applied, second.applied], [true, false]);
    assert.equal(Buffer.from(second.value ?? []).toString(), "1");
  });

  it("answers a retry with the first result and applies it once, also after a restart", async () => {
    const subject = await open();
    const command = {
      kind: CommandKind.CMD_GET_SEQUENCE,
      key: bytes("s"),
      step: 10,
      clientId: CLIENT,
      seq: 3,
      lowestOutstanding: 1,
      issuedAt: 5,
    };
    const first = await execute(subject, command);
    const again = await execute(subject, command);
    assert.deepEqual([first.sequenceStart, first.sequenceEnd], [0, 10]);
    assert.deepEqual(again, first);
    await settled(subject.env, subject.engine.close());
    const reopened = await open(subject.kv, subject.env, subject.raft);
    assert.deepEqual(await execute(reopened, command), first);
    const later = await execute(reopened, { ...command, seq: 4, lowestOutstanding: 4 });
    assert.equal(later.sequenceStart, 10);
    await refused(execute(reopened, command), "SESSION_EXPIRED");
  });

  it("replays what the engine had not made durable before a crash", async () => {
    const subject = await open();
    await put(subject, "a", "1");
    await subject.env.settle();
    subject.kv.hold();
    await put(subject, "b", "2");
    await put(subject, "a", "3");
    const crashed = createFakeKv({});
    for (const row of await subject.kv.snapshot().iterate({ start: "", end: "" }).next(1_000)) {
      const batch = crashed.batch();
      batch.put(row.key, row.value);
      await crashed.write(batch);
    }
    assert.ok(subject.region.appliedIndex > 6);
    const reopened = await open(crashed, subject.env, subject.raft);
    await subject.env.settle();
    assert.equal(await get(reopened, "a"), "3");
    assert.equal(await get(reopened, "b"), "2");
    assert.equal(reopened.region.appliedIndex, subject.region.appliedIndex);
  });

  it("refuses a region of which the key-value engine lost a batch", async () => {
    const subject = await open();
    for (const key of ["a", "b", "c"]) {
      await put(subject, key, "1");
      await subject.env.settle();
    }
    subject.kv.lose("Lm\0\0\0\0\0\0\0\x02");
    const reopened = await open(subject.kv, subject.env, subject.raft);
    assert.equal(reopened.engine.faults()[0]?.error.code, "CORRUPTION");
    assert.match(reopened.engine.faults()[0]?.error.message ?? "", /lost batch 2/);
    await refused(put(reopened, "a", "2"), "NOT_LEADER");
    assert.equal(subject.raft.lifecycle(REGION), "condemned");
  });

  it("refuses bad commands before the log", async () => {
    const subject = await open();
    const before = subject.region.appliedIndex;
    const { kind, key } = { kind: CommandKind.CMD_PUT, key: bytes("k") };
    await refused(execute(subject, { kind, key: Buffer.alloc(4_097), value: bytes("") }), "KEY_TOO_LARGE");
    await refused(execute(subject, { kind, key: bytes(""), value: bytes("") }), "KEY_TOO_LARGE");
    await refused(execute(subject, { kind, key, value: Buffer.alloc((6 << 20) + 1) }), "VALUE_TOO_LARGE");
    await refused(execute(subject, { kind, key }), "INVALID_ARGUMENT");
    await refused(execute(subject, { kind: CommandKind.CMD_LOCK, key }), "VERSION_UNSUPPORTED");
    await refused(
      execute(subject, { kind: CommandKind.CMD_DELETE_RANGE, key: bytes("b"), endKey: bytes("a") }),
      "INVALID_ARGUMENT",
    );
    assert.equal(subject.region.appliedIndex, before);
  });

  it("deletes a range in order with the commands around it", async () => {
    const subject = await open();
    const commands = [
      put(subject, "a1", "x"),
      execute(subject, { kind: CommandKind.CMD_DELETE_RANGE, key: bytes("a"), endKey: bytes("b") }),
      put(subject, "a2", "y"),
      put(subject, "b", "z"),
    ];
    await settled(subject.env, Promise.all(commands));
    assert.deepEqual(
      [await get(subject, "a1"), await get(subject, "a2"), await get(subject, "b")],
      [undefined, "y", "z"],
    );
  });

  it("pages scans both ways and says when a limit cut them", async () => {
    const subject = await open();
    for (const key of ["a", "b", "c", "d"]) await put(subject, key, key);
    const scan = async (kind: 4 | 5, limit: number) => {
      const page = await settled(
        subject.env,
        subject.region.read({ kind, key: bytes("a"), endKey: bytes("d"), limit }),
      );
      return [page.entries.map(({ key }) => Buffer.from(key).toString()).join(""), page.more];
    };
    assert.deepEqual(await scan(ReadKind.READ_SCAN, 2), ["ab", true]);
    assert.deepEqual(await scan(ReadKind.READ_SCAN, 3), ["abc", false]);
    assert.deepEqual(await scan(ReadKind.READ_REVERSE_SCAN, 2), ["cb", true]);
  });

  it("fails waiting and later commands with NOT_LEADER when leadership goes, reads stay possible", async () => {
    const subject = await open();
    await put(subject, "a", "1");
    const waiting = subject.region.execute({ kind: CommandKind.CMD_PUT, key: bytes("a"), value: bytes("2") });
    subject.raft.setLeader(REGION, false);
    await refused(settled(subject.env, waiting), "NOT_LEADER");
    await refused(put(subject, "a", "3"), "NOT_LEADER");
    assert.equal(await get(subject, "a"), "1");
  });

  it("takes a peer with a damaged value out and never answers a wrong value", async () => {
    const subject = await open();
    await put(subject, "a", "1");
    await subject.env.settle();
    const stored = subject.kv.get("da");
    assert.ok(stored);
    stored[stored.length - 1] = 0;
    await refused(get(subject, "a"), "CORRUPTION");
    assert.equal(subject.region.state, "error");
    assert.equal(subject.engine.faults()[0]?.regionId, REGION);
  });

  it("takes only deletes while a volume is short of space", async () => {
    const free = { bytes: 1 << 30 };
    const disk = { space: async () => ({ freeBytes: free.bytes, totalBytes: 1 << 40 }) } as unknown as Disk;
    const subject = await open(createFakeKv({}), createVirtualEnv(disk));
    await put(subject, "a", "1");
    free.bytes = 1 << 20;
    await subject.env.advance(1_000);
    await refused(put(subject, "a", "2"), "DISK_FULL");
    await execute(subject, { kind: CommandKind.CMD_DELETE, key: bytes("a") });
    assert.equal(await get(subject, "a"), undefined);
    free.bytes = 1 << 30;
    await subject.env.advance(1_000);
    await put(subject, "a", "3");
  });

  it("puts the peer into error at a command version that it does not know", async () => {
    const subject = await open();
    const region = subject.engine.internal(REGION);
    region?.node?.apply({ data: Buffer.from([99, 1, 2]) });
    await subject.env.settle();
    assert.equal(subject.engine.faults()[0]?.error.code, "VERSION_UNSUPPORTED");
    await refused(put(subject, "a", "1"), "NOT_LEADER");
  });
});

describe("a peer that cannot go on", () => {
  it("applies nothing of an entry with a command that it does not know", async () => {
    const subject = await open();
    const encode = (command: CommandInit): Uint8Array => Command.encode(command).finish();
    const take = { kind: CommandKind.CMD_GET_SEQUENCE, key: bytes("s"), step: 1 };
    const commands = [encode(take), encode({ kind: CommandKind.CMD_LOCK, key: bytes("s") })];
    const data = encodeEntry({ stamp: 1, version: 1, confVer: 1, featureLevel: 1, commands });
    subject.engine.internal(REGION)?.node?.apply({ data });
    await subject.env.settle();
    assert.equal(subject.engine.faults()[0]?.error.code, "VERSION_UNSUPPORTED");
    await settled(subject.env, subject.engine.close());
    assert.equal(subject.kv.get("ss"), undefined, "the new version replays the entry from its start");
  });

  it("answers all that it took, as others may apply it, and applies nothing of an entry that meets a damaged value", async () => {
    const subject = await open();
    const { region } = subject;
    await put(subject, "a", "1");
    await subject.env.settle();
    const batch = subject.kv.batch();
    batch.put("da", Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]));
    await subject.kv.write(batch);
    const write = (kind: CommandKind, key: string) => {
      const command = { kind, key: bytes(key), value: bytes("2"), step: 1 };
      return refused(settled(subject.env, region.execute(command)), "CORRUPTION");
    };
    const fates = await Promise.all([
      write(CommandKind.CMD_GET_SEQUENCE, "s"),
      write(CommandKind.CMD_GET_AND_PUT, "a"),
      write(CommandKind.CMD_PUT, "c"),
    ]);
    assert.deepEqual(
      fates.map(({ details }) => details.maybeApplied),
      [true, true, true],
    );
    await settled(subject.env, subject.engine.close());
    assert.equal(subject.kv.get("ss"), undefined);
    assert.equal(subject.kv.get("dc"), undefined);
  });
});

describe("split", () => {
  async function splitAt(subject: Subject, key: string): Promise<RegionHandle> {
    await settled(subject.env, subject.region.split(bytes(key), 20, [21]));
    subject.raft.setLeader(20, true);
    const child = subject.engine.region(20);
    assert.ok(child);
    return child;
  }

  it("gives the child the upper half with data, sessions and revision, and both a new version", async () => {
    const subject = await open();
    await put(subject, "a", "1");
    const session = { clientId: CLIENT, seq: 1, lowestOutstanding: 1, issuedAt: 1 };
    const write = { kind: CommandKind.CMD_PUT_IF_ABSENT, key: bytes("x"), value: bytes("9"), ...session };
    const first = await execute(subject, write);
    const child = await splitAt(subject, "m");
    assert.deepEqual(subject.region.descriptor.epoch, { confVer: 1, version: 2 });
    assert.deepEqual([child.descriptor.start, child.descriptor.end, child.descriptor.epoch.version], ["m", "", 2]);
    assert.equal(await get(subject, "a"), "1");
    const again = await settled(subject.env, child.execute(write));
    assert.equal(again.applied, true);
    assert.equal(again.revision, first.revision);
    assert.equal(child.getLocal(bytes("x"))?.toString(), "9");
    const error = await refused(put(subject, "x", "2"), "KEY_NOT_IN_REGION");
    assert.deepEqual(
      error.details.currentRegions?.map(({ regionId }) => regionId),
      [REGION, 20],
    );
  });

  it("refuses at apply what was queued behind it with the old version", async () => {
    const subject = await open();
    const split = subject.region.split(bytes("m"), 20, [21]);
    const behind = subject.region.execute({ kind: CommandKind.CMD_PUT, key: bytes("x"), value: bytes("1") });
    const outcome = refused(behind, "EPOCH_NOT_MATCH");
    await settled(subject.env, split);
    const error = await settled(subject.env, outcome);
    assert.deepEqual(
      error.details.currentRegions?.map(({ regionId }) => regionId),
      [REGION, 20],
    );
    assert.equal(subject.engine.region(20)?.getLocal(bytes("x")), undefined);
  });

  it("is refused outside the range and with too few peer ids", async () => {
    const subject = await open();
    await splitAt(subject, "m");
    await refused(settled(subject.env, subject.region.split(bytes("m"), 30, [31])), "OPERATION_REFUSED");
    await refused(settled(subject.env, subject.region.split(bytes("c"), 30, [])), "OPERATION_REFUSED");
  });

  it("survives a crash before the child's log record: the child starts from its records", async () => {
    const subject = await open();
    await put(subject, "x", "1");
    await splitAt(subject, "m");
    await settled(subject.env, subject.engine.close());
    const raft = createFakeRaft(subject.env.scheduler);
    const reopened = await open(subject.kv, subject.env, raft);
    assert.equal(reopened.engine.region(20)?.getLocal(bytes("x"))?.toString(), "1");
    assert.equal(reopened.engine.region(20)?.appliedIndex, 5);
    assert.equal(reopened.engine.faults().length, 1, "the parent has data but no log: condemned");
  });
});

describe("peers that come and go", () => {
  const message = (groupId: number, toPeer: number, startKey: string, endKey: string) => ({
    groupId,
    toPeer,
    fromPeer: 1,
    fromStore: 2,
    term: 7,
    epoch: { confVer: 3, version: 5 },
    startKey: bytes(startKey),
    endKey: bytes(endKey),
  });

  it("are made by a message only over a free range and above the tombstone", async () => {
    const subject = await open();
    subject.raft.options?.onUnknownPeer?.(message(50, 51, "a", "b"));
    assert.equal(subject.engine.region(50), undefined, "the range is taken");
    await settled(subject.env, subject.engine.discardRegion(REGION));
    subject.raft.options?.onUnknownPeer?.(message(50, 51, "a", "b"));
    assert.equal(subject.engine.region(50)?.state, "awaiting");
    subject.raft.options?.onUnknownPeer?.(message(60, 61, "aa", "c"));
    assert.equal(subject.engine.region(60), undefined, "the range is claimed");
    subject.raft.options?.onUnknownPeer?.(message(REGION, 11, "c", "d"));
    assert.equal(subject.engine.region(REGION), undefined, "the peer is dead");
    subject.raft.options?.onUnknownPeer?.(message(REGION, 12, "c", "d"));
    assert.equal(subject.engine.region(REGION)?.peerId, 12);
  });

  it("destroy themselves when a change removes them, and their data are cleared", async () => {
    const subject = await open();
    await put(subject, "a", "1");
    const self = { peerId: 11, storeId: 1, role: "voter" as const };
    const other = { peerId: 12, storeId: 2, role: "voter" as const };
    assert.equal(subject.raft.changeMembers(REGION, { action: "addVoter", peer: other }, [self, other]), true);
    assert.deepEqual(subject.region.descriptor.epoch, { confVer: 2, version: 1 });
    subject.raft.changeMembers(REGION, { action: "remove", peer: self }, [other]);
    await subject.env.settle();
    assert.equal(subject.engine.region(REGION), undefined);
    assert.deepEqual(await subject.kv.iterate({ start: "d", end: "e" }).next(10), []);
  });

  it("refuse a change that gives a store two peers of a region", async () => {
    const subject = await open();
    const self = { peerId: 11, storeId: 1, role: "voter" as const };
    const twin = { peerId: 12, storeId: 1, role: "learner" as const };
    assert.equal(subject.raft.changeMembers(REGION, { action: "addLearner", peer: twin }, [self, twin]), false);
    assert.deepEqual(subject.region.descriptor.epoch, { confVer: 1, version: 1 });
    await put(subject, "a", "1");
  });

  it("take a configuration set by force whatever it is, as newer than all that was given up with the old one", async () => {
    const subject = await open();
    const self = { peerId: 11, storeId: 1, role: "voter" as const };
    const twin = { peerId: 12, storeId: 1, role: "learner" as const };
    assert.equal(subject.raft.changeMembers(REGION, { action: "addLearner", peer: twin }, [self], true), true);
    assert.deepEqual(subject.region.descriptor.epoch, { confVer: 1_001, version: 1 });
    await put(subject, "a", "1");
  });

  it("are destroyed on PD's word only if it proves the removal", async () => {
    const subject = await open();
    const proof = { ...subject.region.descriptor, epoch: { confVer: 2, version: 1 }, peers: [] };
    const { engine, env } = subject;
    const same = { ...proof, epoch: { confVer: 1, version: 1 } };
    assert.equal(await settled(env, engine.destroyPeer(REGION, 11, same)), false);
    const member = { ...proof, peers: subject.region.descriptor.peers };
    assert.equal(await settled(env, engine.destroyPeer(REGION, 11, member)), false);
    assert.equal(await settled(env, engine.destroyPeer(REGION, 11, proof)), true);
    assert.equal(engine.region(REGION), undefined);
  });

  it("make room for a new peer of the region only when the old one's sessions are gone", async () => {
    const { engine, env, kv, raft } = await open();
    const clearRange = kv.clearRange.bind(kv);
    let finish: () => void = () => undefined;
    kv.clearRange = async (start, end) => {
      if (start.startsWith("Ls")) await new Promise<void>((resolve) => (finish = resolve));
      await clearRange(start, end);
    };
    const discarded = engine.discardRegion(REGION);
    await env.settle();
    raft.options?.onUnknownPeer?.(message(REGION, 12, "", ""));
    assert.equal(engine.region(REGION), undefined);
    finish();
    await settled(env, discarded);
    raft.options?.onUnknownPeer?.(message(REGION, 12, "", ""));
    assert.equal(engine.region(REGION)?.peerId, 12);
  });

  it("serve nothing, not even stale, while a crash left their data half replaced by a snapshot", async () => {
    const subject = await open();
    await put(subject, "a", "1");
    await settled(subject.env, subject.engine.close());
    subject.raft.installing = REGION;
    const { region, env } = await open(subject.kv, subject.env, subject.raft);
    const read = region.read({ kind: ReadKind.READ_GET, key: bytes("a"), stale: true });
    await refused(settled(env, read), "LEADER_NOT_AVAILABLE");
  });

  for (const moment of ["before anything of it is stored", "while it lands"] as const) {
    it(`leave nothing behind when they are destroyed with a snapshot under way: ${moment}`, async () => {
      const directory = mkdtempSync(join(tmpdir(), "rhea-load-"));
      try {
        const source = await open(createFakeKv({}), createVirtualEnv(nodeDisk));
        await put(source, "a", "1");
        const machineOf = ({ engine }: Subject) => createRegionMachine(engine.internal(REGION) as Region);
        const saved = await overDisk(
          source.env,
          machineOf(source).onSnapshotSave?.(directory, { directory } as SnapshotWriter),
        );
        assert.ok(saved);
        const subject = await open(createFakeKv({}), createVirtualEnv(nodeDisk));
        const { engine, env, kv } = subject;
        await settled(env, engine.discardRegion(REGION));
        subject.raft.options?.onUnknownPeer?.(message(REGION, 12, "", ""));
        await env.settle();
        let destroyed: Promise<void> | undefined;
        const clearRange = kv.clearRange.bind(kv);
        kv.clearRange = (start, end) => {
          destroyed ??= engine.discardRegion(REGION);
          return clearRange(start, end);
        };
        const load = machineOf(subject).onSnapshotLoad?.(
          { directory, names: saved.names, read: () => Promise.reject(new Error("the store reads by itself")) },
          saved,
        );
        if (moment.startsWith("before")) destroyed = engine.discardRegion(REGION);
        await overDisk(
          env,
          load?.catch(() => undefined),
        );
        await overDisk(env, destroyed);
        await env.settle();
        assert.deepEqual(engine.regions(), []);
        const rows = await kv.iterate({ start: "", end: "" }).next(100);
        assert.deepEqual(
          rows.filter(({ key }) => !key.startsWith("Lm")),
          [],
        );
        subject.raft.options?.onUnknownPeer?.(message(70, 71, "a", "b"));
        assert.equal(engine.region(70)?.state, "awaiting", "the range is free");
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  }
});

/** Lets virtual time and the real disk take turns until `promise` has ended. */
async function overDisk<T>(env: VirtualEnv, promise: Promise<T> | undefined): Promise<T | undefined> {
  const state = { isDone: false };
  const done = (): boolean => (state.isDone = true);
  if (promise === undefined) return undefined;
  promise.then(done, done);
  while (!state.isDone) {
    await env.settle();
    await nodeDisk.stat(tmpdir());
  }
  return promise;
}
