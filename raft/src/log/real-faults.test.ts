/**
 * Real disks that fail: a full file system, and one whose device refuses to write. Needs root to mount; skipped, and said so, elsewhere. The
 * disk is the machine's (`nodeDisk`); nothing is simulated but the size of the device.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, type Disk, type DiskFile, type RheaError } from "@rhea/common";
import { nodeClock, nodeDisk } from "@rhea/common/env-node";
import type { RaftLog } from "./api.js";
import { openLog } from "./open-log.js";
import { created, entries } from "./test-log.js";

const MIB = 1024 * 1024;

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { stdio: ["ignore", "pipe", "ignore"] }).toString();
}

interface Opened {
  readonly log: RaftLog;
  readonly failures: RheaError[];
}

async function open(directory: string, disk: Disk = nodeDisk): Promise<Opened> {
  const failures: RheaError[] = [];
  const log = await openLog({
    ...{ disk, directory, clock: nodeClock, logger: silentLogger, segmentBytes: 2 * MIB },
    onFailed: (error) => failures.push(error),
  });
  return { log, failures };
}

/** Appends to group 1 until it fails; returns the last index that was acknowledged. */
async function appendUntilFailure({ log }: Opened, bytes: number, limit: number): Promise<number> {
  const first = (log.group(1)?.lastIndex ?? 0) + 1;
  for (let index = first; index < first + limit; index++) {
    try {
      await log.append([entries(1, index, index, 1, bytes)]);
    } catch (error) {
      assert.match(String(error), /DISK_FAILED|log: writing/);
      return index - 1;
    }
  }
  return assert.fail(`the disk took ${limit} entries of ${bytes} bytes`);
}

/** Nothing is taken any more, whatever it is, and the failure was told once. */
async function assertStopped({ log, failures }: Opened): Promise<void> {
  await assert.rejects(log.append([created(9)]), { code: "DISK_FAILED" });
  await assert.rejects(log.append([]), { code: "DISK_FAILED" });
  assert.equal(failures.length, 1);
  assert.equal(failures[0]?.code, "DISK_FAILED");
  await log.close();
}

/** What the next process finds: everything acknowledged, and no more than one entry that was not. */
async function assertKept(directory: string, acknowledged: number): Promise<void> {
  const again = await open(directory);
  const group = again.log.group(1);
  assert.equal(group?.lifecycle.state, "live");
  assert.ok(group.lastIndex >= acknowledged && group.lastIndex <= acknowledged + 1, `${group.lastIndex}`);
  for (let index = 1; index <= acknowledged; index++) assert.equal(group.entries(index, index + 1, 1)[0]?.index, index);
  await again.log.append([entries(1, group.lastIndex + 1, group.lastIndex + 1, 2)]);
  await again.log.close();
}

describe("the log on a real disk that fails", function () {
  this.timeout(60_000);
  let folder = "";
  const undo: (() => void)[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rhea-faults-"));
  });
  afterEach(() => {
    for (const each of undo.splice(0).reverse()) each();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Mounts, or skips the test saying why. */
  const mount = (test: Mocha.Context, what: string, prepare: () => string[]): string => {
    const at = join(folder, "disk");
    mkdirSync(at);
    try {
      run("mount", ...prepare(), at);
    } catch {
      console.log(`      skipped: this machine cannot mount ${what} (root only)`);
      test.skip();
    }
    undo.push(() => run("umount", at));
    return at;
  };

  it("ENOSPC: stops at the first failed write; what was acknowledged is there once there is room", async function () {
    const at = mount(this, "a small tmpfs", () => ["-t", "tmpfs", "-o", "size=8m", "none"]);
    const directory = join(at, "log");
    const opened = await open(directory);
    await opened.log.append([created(1)]);
    const acknowledged = await appendUntilFailure(opened, 50_000, 300);
    assert.ok(acknowledged > 50);
    await assertStopped(opened);
    assert.match(String(opened.failures[0]), /ENOSPC/);
    run("mount", "-o", "remount,size=32m", at);
    await assertKept(directory, acknowledged);
  });

  it("ENOSPC at open: refuses to open, changes nothing, and opens once there is room", async function () {
    const at = mount(this, "a small tmpfs", () => ["-t", "tmpfs", "-o", "size=8m", "none"]);
    const directory = join(at, "log");
    const opened = await open(directory);
    await opened.log.append([created(1), entries(1, 1, 20, 1, 1000)]);
    await opened.log.close();
    const rest = Number(run("df", "--output=avail", "-B1", at).trim().split("\n").at(-1));
    writeFileSync(join(at, "filler"), Buffer.alloc(rest));
    await assert.rejects(open(directory), { code: "DISK_FAILED" });
    rmSync(join(at, "filler"));
    await assertKept(directory, 20);
  });

  it("a failing device: stops at the first fsync that fails, and has never acknowledged what is not on it", async function () {
    // A file system on a device whose backing is smaller than it says: the kernel takes writes and fails to put them down. With a journal: ext4
    // without one was seen to answer an fdatasync well although the file's new length was never put down (the durable mark then refuses the log).
    const backing = join(folder, "backing");
    mkdirSync(backing);
    let device = "";
    const at = mount(this, "a loop device", () => {
      run("mount", "-t", "tmpfs", "-o", "size=24m", "none", backing);
      undo.push(() => run("umount", backing));
      writeFileSync(join(backing, "image"), "");
      truncateSync(join(backing, "image"), 64 * MIB);
      run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", join(backing, "image"));
      device = run("losetup", "--find", "--show", join(backing, "image")).trim();
      undo.push(() => run("losetup", "-d", device));
      return ["-o", "errors=continue", device];
    });
    const directory = join(at, "log");
    const opened = await open(directory);
    await opened.log.append([created(1)]);
    const acknowledged = await appendUntilFailure(opened, 50_000, 600);
    assert.ok(acknowledged > 20, `${acknowledged}`);
    await assertStopped(opened);
    assert.match(String(opened.failures[0]), /failed \((EIO|ENOSPC): .*sync\)/);
    // With room behind the device, and mounted anew so that nothing is read from memory: everything acknowledged is on it.
    run("mount", "-o", "remount,size=128m", backing);
    run("umount", at);
    run("mount", device, at);
    await assertKept(directory, acknowledged);
  });
});

describe("the log on a disk whose calls fail", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rhea-calls-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** The machine's disk, whose files fail in one call from the `after`-th on. */
  function failing(call: "write" | "datasync", after: number): Disk {
    let calls = 0;
    const fail = async (): Promise<void> => {
      if (++calls > after) throw Object.assign(new Error(`EIO: i/o error, ${call}`), { code: "EIO" });
    };
    const wrap = (file: DiskFile): DiskFile => ({
      read: (offset, length) => file.read(offset, length),
      readSync: (offset, length) => file.readSync(offset, length),
      size: () => file.size(),
      truncate: (length) => file.truncate(length),
      close: () => file.close(),
      write: async (offset, chunks) => {
        if (call === "write") await fail();
        await file.write(offset, chunks);
      },
      datasync: async () => {
        await file.datasync();
        if (call === "datasync") await fail();
      },
    });
    return { ...nodeDisk, open: async (path, options) => wrap(await nodeDisk.open(path, options)) };
  }

  for (const call of ["write", "datasync"] as const) {
    it(`stops at the first failed ${call}, whichever it is, and keeps what was acknowledged`, async () => {
      for (let after = 6; after < 40; after += 3) {
        const directory = join(folder, `${call}-${after}`);
        const opened = await open(directory, failing(call, after));
        const isCreated = await opened.log.append([created(1)]).then(
          () => true,
          () => false,
        );
        if (!isCreated) continue;
        const acknowledged = await appendUntilFailure(opened, 300_000, 60);
        await assertStopped(opened);
        await assertKept(directory, acknowledged);
      }
    });
  }
});
