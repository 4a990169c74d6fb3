import { deepEqual, equal, ok } from "node:assert/strict";
import type { Disk } from "@rhea/common";
import { TestDisk } from "../log/test-disk.js";
import { fileSnapshotStorage } from "./file-snapshots.js";
import { memorySnapshotStorage } from "./memory-snapshots.js";
import { describeSnapshotStorage, readSnapshot, saveSnapshot } from "./snapshot-storage-suite.js";
import { CrashDisk, Crashed } from "./test-crash-disk.js";

const OWNER = { groupId: 7, peerId: 11 };

const flip = async (disk: Disk, path: string): Promise<void> => {
  const file = await disk.open(path, { create: false });
  const [byte = 0] = await file.read(0, 1);
  await file.write(0, [Buffer.from([byte ^ 0x10])]);
  await file.close();
};

describeSnapshotStorage("files", () => {
  const disk = new TestDisk();
  return {
    reopen: () => fileSnapshotStorage({ disk, directory: "data/state" }),
    damage: (path) => flip(disk, path),
  };
});

describeSnapshotStorage("memory", () => {
  const storage = memorySnapshotStorage();
  return { reopen: () => storage, damage: (path) => flip(storage.disk, path) };
});

describe("snapshot storage: crashes", () => {
  const SEED = Number(process.env["SEED"] ?? 5);

  /** Whole numbers below a bound, from a seed. */
  function chanceOf(seed: number): (bound: number) => number {
    let state = (seed * 2_654_435_761) >>> 0;
    return (bound) => {
      state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
      return ((state ^ (state >>> 13)) >>> 0) % bound;
    };
  }

  /** Runs `act` with a crash after its k-th change, for all k, and looks with several draws of luck at what is left. */
  async function everyCrash(
    prepare: (disk: CrashDisk) => Promise<void>,
    act: (disk: CrashDisk) => Promise<void>,
    check: (disk: CrashDisk, hasCrashed: boolean, label: string) => Promise<void>,
  ): Promise<number> {
    for (let k = 0; ; k++) {
      const disk = new CrashDisk();
      await prepare(disk);
      disk.crashAfter(k);
      await act(disk).catch((error: unknown) => {
        if (!disk.hasCrashed) throw error;
      });
      const { hasCrashed } = disk;
      for (let draw = 0; draw < 12; draw++) {
        const found = disk.afterCrash(chanceOf(SEED + k * 100 + draw));
        await check(found, hasCrashed, `SEED=${SEED}: crash after change ${k}, draw ${draw}`);
      }
      if (!hasCrashed) return k;
    }
  }

  const storageOn = (disk: Disk) => fileSnapshotStorage({ disk, directory: "data/state" });
  const OLD = { a: "old state", b: "1" };
  const NEW = { a: "new state ".repeat(100), c: "2" };

  async function prepare(disk: CrashDisk): Promise<void> {
    const storage = storageOn(disk);
    await storage.open(OWNER);
    await saveSnapshot(storage, 5, OLD);
  }

  it("leaves the old snapshot or the new one whole, wherever saving was interrupted", async () => {
    let sawOldOnly = 0;
    let sawNew = 0;
    const calls = await everyCrash(
      prepare,
      async (disk) => {
        const storage = storageOn(disk);
        const { snapshots } = await storage.open(OWNER);
        await saveSnapshot(storage, 9, NEW);
        for (const { directory } of snapshots) await storage.remove(directory);
      },
      async (disk, hasCrashed, label) => {
        const storage = storageOn(disk);
        const { snapshots, damaged } = await storage.open(OWNER);
        deepEqual(damaged, [], label);
        const [newest] = snapshots;
        ok(newest !== undefined, label);
        await storage.verify(newest);
        const isNew = newest.saved.index === 9;
        deepEqual(await readSnapshot(storage, newest), isNew ? NEW : OLD, label);
        if (isNew) sawNew++;
        else {
          sawOldOnly++;
          ok(hasCrashed, label);
        }
        // What is left of the attempt does not stand in the way of the next one.
        await saveSnapshot(storage, 11, NEW);
        equal((await storageOn(disk).open(OWNER)).snapshots[0]?.saved.index, 11, label);
      },
    );
    ok(calls > 10 && sawOldOnly > 0 && sawNew > 0, `${calls} changes, ${sawOldOnly} old, ${sawNew} new`);
  });

  it("never shows a snapshot that is being removed as a damaged one", async () => {
    await everyCrash(
      prepare,
      async (disk) => {
        const storage = storageOn(disk);
        const { snapshots } = await storage.open(OWNER);
        for (const { directory } of snapshots) await storage.remove(directory);
      },
      async (disk, _hasCrashed, label) => {
        const storage = storageOn(disk);
        const { snapshots, damaged } = await storage.open(OWNER);
        deepEqual(damaged, [], label);
        for (const stored of snapshots) await storage.verify(stored);
      },
    );
  });

  it("models a crash: what was not synced may be lost, and only that", async () => {
    const disk = new CrashDisk();
    await disk.mkdir("d");
    const file = await disk.open("d/f", { create: true });
    await file.write(0, [Buffer.from("unsynced")]);
    const outcomes = new Set<string>();
    for (let i = 0; i < 40; i++) {
      const found = disk.afterCrash(chanceOf(i));
      const stat = await found.stat("d/f");
      outcomes.add(stat === undefined ? "no name" : stat.size === 8 ? "whole" : "torn");
    }
    deepEqual([...outcomes].sort(), ["no name", "torn", "whole"]);
    disk.crashAfter(0);
    await file.datasync().then(
      () => ok(false, "a call after the crash went through"),
      (error: unknown) => ok(error instanceof Crashed),
    );
  });
});
