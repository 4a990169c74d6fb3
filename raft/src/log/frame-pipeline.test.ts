import assert from "node:assert/strict";
import { TestDisk } from "./test-disk.js";
import { created, entries, openTestLog } from "./test-log.js";

/** Holds fsyncs back until they are let go, one by one. */
class Gate {
  readonly held: { release(): void; fail(error: Error): void }[] = [];

  wait(): Promise<void> {
    return new Promise((resolve, reject) => this.held.push({ release: resolve, fail: reject }));
  }
}

/** Lets everything that can run without the disk run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

/** A log with group 7, whose fsyncs wait at a gate from now on. */
async function gatedLog() {
  const disk = new TestDisk();
  const { log, failures } = await openTestLog(disk);
  await log.append([created(7)]);
  const gate = new Gate();
  disk.intercept = (call) => (call === "datasync" ? gate.wait() : undefined);
  const finished: number[] = [];
  const append = (index: number): Promise<void> =>
    log.append([entries(7, index, index)]).then(() => void finished.push(index));
  return { disk, log, failures, gate, finished, append };
}

describe("FramePipeline", () => {
  it("gathers the appends of one callback in one frame", async () => {
    const { log, gate, append } = await gatedLog();
    const before = log.stats().syncs;
    const all = [append(1), append(2), append(3)];
    await settle();
    assert.equal(gate.held.length, 1);
    gate.held[0]?.release();
    await Promise.all(all);
    assert.equal(log.stats().syncs, before + 1);
  });

  it("has at most two frames in flight and gathers what comes meanwhile", async () => {
    const { gate, append, finished } = await gatedLog();
    const all: Promise<void>[] = [];
    for (let index = 1; index <= 10; index++) {
      all.push(append(index));
      await settle();
    }
    assert.equal(gate.held.length, 2);
    gate.held[0]?.release();
    await settle();
    assert.equal(gate.held.length, 3);
    gate.held[1]?.release();
    gate.held[2]?.release();
    await Promise.all(all);
    assert.deepEqual(finished, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("resolves in order although a later fsync ends first", async () => {
    const { gate, append, finished } = await gatedLog();
    const first = append(1);
    await settle();
    const second = append(2);
    await settle();
    gate.held[1]?.release();
    await settle();
    assert.deepEqual(finished, []);
    gate.held[0]?.release();
    await Promise.all([first, second]);
    assert.deepEqual(finished, [1, 2]);
  });

  it("resolves an empty append when everything before it is durable", async () => {
    const { log, gate, append, finished } = await gatedLog();
    void append(1);
    await settle();
    const barrier = log.append([]).then(() => finished.push(-1));
    await settle();
    assert.deepEqual(finished, []);
    gate.held[0]?.release();
    await barrier;
    assert.deepEqual(finished, [1, -1]);
    await log.append([]);
  });

  it("tells how long the oldest append has waited", async () => {
    const disk = new TestDisk();
    let now = 10;
    const { log } = await openTestLog(disk, { clock: { monotonicMs: () => now, wallMs: () => 0 } });
    const gate = new Gate();
    disk.intercept = (call) => (call === "datasync" ? gate.wait() : undefined);
    const done = log.append([created(7)]);
    await settle();
    now = 250;
    assert.equal(log.stats().oldestPendingMs, 240);
    gate.held[0]?.release();
    await done;
    assert.equal(log.stats().oldestPendingMs, 0);
    assert.equal(log.stats().syncSeconds, 0.24);
  });

  for (const failing of ["write", "datasync"] as const) {
    it(`stops for good at the first failed ${failing}`, async () => {
      const { disk, log, failures, append, finished } = await gatedLog();
      disk.intercept = (call) => {
        if (call === failing) throw new Error("EIO: bad sector");
      };
      const refused = { code: "DISK_FAILED", message: /frame \d+ to .*\.wal at offset \d+ failed \(EIO: bad sector\)/ };
      const [one, two] = [append(1), append(2)];
      await assert.rejects(one, refused);
      await assert.rejects(two, refused);
      assert.equal(failures.length, 1);
      disk.intercept = undefined;
      await assert.rejects(append(3), refused);
      await assert.rejects(log.append([]), refused);
      assert.equal(failures.length, 1);
      assert.deepEqual(finished, []);
      await log.close();
      assert.equal(disk.openFiles, 0);
    });
  }

  it("refuses a later frame whose own fsync succeeded when an earlier one failed", async () => {
    const { gate, append, finished, failures } = await gatedLog();
    const first = append(1);
    await settle();
    const second = append(2);
    await settle();
    gate.held[1]?.release();
    await settle();
    gate.held[0]?.fail(new Error("EIO"));
    await assert.rejects(first, { code: "DISK_FAILED" });
    await assert.rejects(second, { code: "DISK_FAILED" });
    assert.deepEqual(finished, []);
    assert.equal(failures.length, 1);
  });

  it("makes a new segment only when every frame of the old one is durable", async () => {
    const disk = new TestDisk();
    const { log } = await openTestLog(disk, { segmentBytes: 300 });
    const gate = new Gate();
    const segments = (): number => [...disk.files.keys()].filter((path) => path.endsWith(".wal")).length;
    disk.intercept = (call) => (call === "datasync" ? gate.wait() : undefined);
    const first = log.append([created(7), entries(7, 1, 1, 1, 400)]);
    await settle();
    const second = log.append([entries(7, 2, 2)]);
    await settle();
    assert.equal(segments(), 1);
    gate.held[0]?.release();
    await first;
    await settle();
    assert.equal(segments(), 2);
    // The head, the durable mark, the frame.
    for (const i of [1, 2, 3]) {
      assert.equal(gate.held.length, i + 1);
      gate.held[i]?.release();
      await settle();
    }
    await second;
    assert.deepEqual(disk.journal.slice(-1), ["syncDir wal"]);
  });
});
