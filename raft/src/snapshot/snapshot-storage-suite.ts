/** The suite that every snapshot storage passes. Called by the test files of its implementations. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import type { SavedSnapshot, SnapshotStorage, StoredSnapshot } from "./api.js";
import { snapshotFiles, snapshotWriter } from "./snapshot-files.js";

/** A storage under test. */
export interface StorageUnderTest {
  /** Makes a storage over what the last one left, as a process does that starts again. */
  reopen(): SnapshotStorage;
  /** Changes a byte of a file. */
  damage(path: string): Promise<void>;
}

const OWNER = { groupId: 7, peerId: 11 };

const CONF_STATE = { voters: [11, 12, 13], learners: [14], votersOutgoing: [], learnersNext: [], autoLeave: false };

/** Writes files and commits them as a snapshot at `index`. */
export async function saveSnapshot(
  storage: SnapshotStorage,
  index: number,
  files: Readonly<Record<string, string>>,
): Promise<StoredSnapshot> {
  const directory = await storage.begin();
  const peers = [{ peerId: 11, storeId: 1, role: "voter" as const }];
  const writer = snapshotWriter(storage.disk, directory, { index, term: 3, confState: CONF_STATE, peers });
  for (const [name, content] of Object.entries(files)) await writer.write(name, Buffer.from(content));
  return storage.commit(directory, writer.saved());
}

/** Reads all files of a snapshot. */
export async function readSnapshot(
  storage: SnapshotStorage,
  { directory, saved }: StoredSnapshot,
): Promise<Record<string, string>> {
  const files = snapshotFiles(storage.disk, directory, saved.names);
  const contents: Record<string, string> = {};
  for (const name of saved.names) contents[name] = (await files.read(name)).toString();
  return contents;
}

/** Describes the suite for one implementation. */
export function describeSnapshotStorage(name: string, make: () => StorageUnderTest): void {
  describe(`snapshot storage: ${name}`, () => {
    let subject: StorageUnderTest;
    let storage: SnapshotStorage;

    const indexes = (list: readonly StoredSnapshot[]): number[] => list.map(({ saved }) => saved.index);

    beforeEach(async () => {
      subject = make();
      storage = subject.reopen();
      deepEqual(await storage.open(OWNER), { snapshots: [], damaged: [] });
    });

    it("has after a restart what was committed, the newest first", async () => {
      const files = { "a.txt": "one", b: "", "c-1": "x".repeat(600_000) };
      const stored = await saveSnapshot(storage, 5, files);
      equal(stored.bytes, 600_003);
      await saveSnapshot(storage, 9, { a: "nine" });
      storage = subject.reopen();
      const { snapshots, damaged } = await storage.open(OWNER);
      deepEqual([indexes(snapshots), damaged], [[9, 5], []]);
      const last = snapshots[1];
      if (last === undefined) throw new Error("the older one is missing");
      deepEqual(last.saved, stored.saved);
      await storage.verify(last);
      deepEqual(await readSnapshot(storage, last), files);
    });

    it("forgets what was begun and not committed", async () => {
      const directory = await storage.begin();
      await snapshotWriter(storage.disk, directory, { ...savedAt(4) }).write("a", Buffer.from("half"));
      storage = subject.reopen();
      deepEqual(await storage.open(OWNER), { snapshots: [], damaged: [] });
      equal(await storage.disk.stat(`${directory}/a`), undefined);
    });

    it("gives each one that is begun a directory of its own, also after a restart", async () => {
      const first = await saveSnapshot(storage, 5, { a: "1" });
      const [second, third] = await Promise.all([storage.begin(), storage.begin()]);
      storage = subject.reopen();
      await storage.open(OWNER);
      const fourth = await storage.begin();
      equal(new Set([first.directory, second, third]).size, 3);
      equal([first.directory].includes(fourth), false);
    });

    it("removes what it is told to, for good", async () => {
      const stored = await saveSnapshot(storage, 5, { a: "1" });
      const kept = await saveSnapshot(storage, 6, { a: "2" });
      await storage.remove(stored.directory);
      await storage.remove(stored.directory);
      storage = subject.reopen();
      deepEqual((await storage.open(OWNER)).snapshots, [kept]);
    });

    it("notices a changed, a shortened and a missing file", async () => {
      const stored = await saveSnapshot(storage, 5, { a: "content", b: "more" });
      await storage.verify(stored);
      const path = `${stored.directory}/b`;
      await subject.damage(path);
      await rejects(storage.verify(stored), { code: "CORRUPTION", details: { file: path } });
      const file = await storage.disk.open(path, { create: false });
      await file.truncate(2);
      await file.close();
      await rejects(storage.verify(stored), { code: "CORRUPTION", message: /2 bytes instead of 4/ });
      await storage.disk.remove(path);
      await rejects(storage.verify(stored), { code: "CORRUPTION", message: /is missing/ });
    });

    it("tells of a snapshot whose description is damaged, and has the others", async () => {
      const older = await saveSnapshot(storage, 5, { a: "1" });
      const newer = await saveSnapshot(storage, 6, { a: "2" });
      await subject.damage(`${newer.directory}/.manifest`);
      storage = subject.reopen();
      const { snapshots, damaged } = await storage.open(OWNER);
      deepEqual(snapshots, [older]);
      deepEqual(
        damaged.map(({ directory, error }) => [directory, error.code]),
        [[newer.directory, "CORRUPTION"]],
      );
    });

    it("drops what an earlier peer of the group left, and refuses another group's", async () => {
      await saveSnapshot(storage, 5, { a: "1" });
      storage = subject.reopen();
      await rejects(storage.open({ groupId: 8, peerId: 11 }), { code: "INVALID_ARGUMENT" });
      storage = subject.reopen();
      deepEqual((await storage.open({ ...OWNER, peerId: 12 })).snapshots, []);
      storage = subject.reopen();
      deepEqual((await storage.open(OWNER)).snapshots, []);
    });

    it("does not commit a file that is not there, or whose name leads elsewhere", async () => {
      const directory = await storage.begin();
      await rejects(storage.commit(directory, savedAt(5, ["ghost"])), { code: "NOT_FOUND" });
      await rejects(storage.commit(directory, savedAt(5, ["../a"])), { code: "INVALID_ARGUMENT" });
      await rejects(storage.commit(directory, savedAt(5, [".manifest"])), { code: "INVALID_ARGUMENT" });
      storage = subject.reopen();
      deepEqual((await storage.open(OWNER)).snapshots, []);
    });
  });
}

function savedAt(index: number, names: readonly string[] = []): SavedSnapshot {
  return { index, term: 3, confState: CONF_STATE, peers: [], names };
}
