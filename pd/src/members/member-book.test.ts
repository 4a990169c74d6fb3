import { strict as assert } from "node:assert";
import { silentLogger, type Disk, type DiskFile } from "@rhea/common";
import { MemberBook } from "./member-book.js";
import type { MemberView } from "./member.js";

const told = (incarnation: number, address: string, over: Partial<MemberView> = {}): MemberView => ({
  ...{ memberId: 5, name: "m5", address, incarnation, version: "1", featureLevel: 1, state: "member", ...over },
});

/** The little of a disk that a book uses. */
function tinyDisk(): Disk {
  const files = new Map<string, Buffer>();
  const file = (path: string): Partial<DiskFile> => ({
    read: async (offset, length) => (files.get(path) ?? Buffer.alloc(0)).subarray(offset, offset + length),
    size: async () => files.get(path)?.length ?? 0,
    write: async (_offset, chunks) => void files.set(path, Buffer.concat([...chunks])),
    datasync: async () => undefined,
    close: async () => undefined,
  });
  const disk: Partial<Disk> = {
    open: async (path) => file(path) as DiskFile,
    stat: async (path) => (files.has(path) ? { kind: "file", size: 1, inode: 1 } : undefined),
    rename: async (from, to) => void files.set(to, files.get(from) ?? Buffer.alloc(0)),
    remove: async (path) => void files.delete(path),
    syncDir: async () => undefined,
  };
  return disk as Disk;
}

describe("MemberBook", () => {
  it("believes the word of a member's later start, and keeps an address over a word without one", () => {
    const book = new MemberBook(silentLogger);
    book.learn([told(2, "new:1")]);
    book.learn([told(1, "old:1")]);
    assert.equal(book.resolve(5), "new:1");
    book.learn([told(3, "")]);
    assert.equal(book.resolve(5), "new:1");
    book.learn([told(3, "newest:1")]);
    assert.equal(book.resolve(5), "newest:1");
  });

  it("forgets no removal, whoever says otherwise later", () => {
    const book = new MemberBook(silentLogger);
    book.learn([told(4, "x:1")]);
    book.learn([told(2, "x:1", { state: "removed" })]);
    assert.equal(book.resolve(5), undefined);
    book.learn([told(9, "y:1")]);
    assert.equal(book.get(5)?.state, "removed");
  });

  it("knows everything again after a restart", async () => {
    const place = { disk: tinyDisk(), directory: "/pd" };
    const book = new MemberBook(silentLogger, place);
    book.learn([told(1, "x:1"), told(1, "y:1", { memberId: 6 })]);
    book.learn([told(2, "z:1")]);
    await book.flush();
    const next = new MemberBook(silentLogger, place);
    await next.load();
    assert.deepEqual([next.resolve(5), next.resolve(6)], ["z:1", "y:1"]);
  });
});
