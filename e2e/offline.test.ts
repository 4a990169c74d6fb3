/** `rheactl offline` on logs and on the directory of a real store. Runs the built programs. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { runCli } from "@rhea/cli";
import * as offline from "@rhea/cli/offline";
import { connect } from "@rhea/client/env-node";
import { silentLogger } from "@rhea/common";
import { nodeClock, nodeDisk } from "@rhea/common/env-node";
import { openLog, type RaftLog } from "@rhea/raft";
import { killAll, launch, PROGRAMS } from "./harness/process.js";

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function rheactl(...args: string[]): Promise<Result> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const text = (stream: PassThrough): string => String(stream.read() ?? "");
  const code = await runCli(args, {
    ...{ env: {}, cwd: tmpdir(), projectRoot: tmpdir(), stdin: Readable.from([]), stdout, stderr, isTerminal: false },
    connect: () => assert.fail("no cluster is needed"),
    connectAdmin: () => assert.fail("no cluster is needed"),
    offline: async () => offline,
    now: () => 0,
    sleep: async () => undefined,
  });
  return { code, out: text(stdout), err: text(stderr) };
}

describe("rheactl offline log", function () {
  this.timeout(30_000);
  let folder = "";
  let log: RaftLog;
  const directory = (): string => join(folder, "log");
  const segment = (): string => join(directory(), "0000000000000001.wal");
  const contents = (at: string): unknown =>
    readdirSync(at)
      .sort()
      .map((name) => [name, statSync(join(at, name)).size, statSync(join(at, name)).mtimeMs]);

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "rhea-offline-test-"));
    log = await openLog({
      ...{ disk: nodeDisk, directory: directory(), clock: nodeClock, logger: silentLogger },
      onFailed: (error) => assert.fail(error),
    });
    const made = (index: number, data: string) => ({
      term: 2,
      index,
      type: "normal" as const,
      data: Buffer.from(data),
    });
    for (const groupId of [7, 8]) {
      await log.append([{ kind: "created", groupId, peerId: groupId * 10, index: 0, term: 0 }]);
      const entries = [1, 2, 3].map((index) => made(index, `group ${groupId} entry ${index}`));
      await log.append([{ kind: "entries", groupId, entries }]);
    }
    await log.append([{ kind: "hardState", groupId: 7, hardState: { term: 2, vote: 70, commit: 3 } }]);
    await log.close();
  });
  afterEach(async () => {
    await killAll();
    rmSync(folder, { recursive: true, force: true });
  });

  const flip = (text: string): number => {
    const bytes = readFileSync(segment());
    const at = bytes.indexOf(text);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(segment(), bytes);
    return at;
  };

  it("verify says that a healthy log is healthy", async () => {
    const before = contents(directory());
    const { code, out, err } = await rheactl("offline", "log", "verify", directory());
    assert.equal(code, 0, err);
    assert.match(out, /0001\.wal\s.*\s6\s+0\s+0\s+2/);
    assert.match(out, /go on with 2 of 2 groups; the log was closed in order/);
    assert.deepEqual(contents(directory()), before);
  });

  it("verify and dump name damage with file, offset, frame and group, change nothing, and end with exit code 6", async () => {
    const at = flip("group 8 entry 2");
    const before = contents(directory());
    const verified = await rheactl("offline", "log", "verify", directory());
    assert.equal(verified.code, 6, verified.err);
    const [, offset] = /damage: .*0001\.wal offset (\d+): frame 4 is damaged/.exec(verified.out) ?? [];
    assert.ok(Number(offset) > 0 && Number(offset) < at, verified.out);
    assert.match(verified.err, /^error CORRUPTION: 1 groups are refused: group 8: .*0001\.wal offset \d+/);
    const json = await rheactl("-o", "json", "offline", "log", "verify", directory());
    const verdict = JSON.parse(json.out) as { condemned: { groupId: number; peerId: number }[]; refusal: unknown };
    assert.deepEqual(
      verdict.condemned.map(({ groupId, peerId }) => [groupId, peerId]),
      [[8, 80]],
    );
    assert.equal(verdict.refusal, null);
    const dumped = await rheactl("offline", "log", "dump", directory());
    assert.equal(dumped.code, 6);
    assert.match(dumped.out, /frame 4, \d+ bytes, durable 3, DAMAGED\n.*group 8 entry 1 .*\n.*DAMAGED record/);
    assert.match(dumped.err, /0001\.wal offset \d+: frame 4 is damaged/);
    assert.deepEqual(contents(directory()), before);
  });

  it("verify tells when an open would refuse the whole store, and when it would only cut a torn end", async () => {
    const bytes = readFileSync(segment());
    rmSync(join(directory(), "durable.mark"));
    writeFileSync(segment(), bytes.subarray(0, -5));
    const torn = await rheactl("offline", "log", "verify", directory());
    assert.equal(torn.code, 0, torn.err);
    assert.match(torn.out, /open would: .*cut at offset \d+/);
    writeFileSync(segment(), bytes.subarray(0, 30));
    assert.equal((await rheactl("offline", "log", "dump", directory())).code, 6);
    flip("RHSG");
    const refused = await rheactl("offline", "log", "verify", directory());
    assert.match(refused.out, /go on with 0 of 0 groups|refuse the store/);
  });

  it("dump shows one group's records and a range of entries", async () => {
    const { code, out } = await rheactl("offline", "log", "dump", directory(), "--group", "7", "--from", "2", "--json");
    assert.equal(code, 0);
    const records = out
      .trim()
      .split("\n")
      .flatMap(
        (line) => (JSON.parse(line) as { records?: { kind: string; entry?: { index: number } }[] }).records ?? [],
      );
    assert.deepEqual(
      records.map(({ kind, entry }) => (entry === undefined ? kind : entry.index)),
      ["created", 2, 3, "hardState"],
    );
    assert.equal((await rheactl("offline", "log", "dump", directory(), "--group", "x")).code, 2);
    assert.equal((await rheactl("offline", "log", "verify", folder)).code, 1);
  });

  it("refuses while the store runs, and reads its log when it is stopped", async () => {
    const fakePd = join(folder, "pd.json");
    const regions = [{ regionId: 3, startKey: "", endKey: "", voters: [{ storeId: 2, peerId: 4 }] }];
    const stores = [{ storeId: 2, name: "one", address: "127.0.0.1:1" }];
    writeFileSync(fakePd, JSON.stringify({ clusterId: 1, initialState: "new", stores, regions }));
    const dataDir = join(folder, "store");
    mkdirSync(dataDir);
    const flags = ["--name", "one", "--data-dir", dataDir, "--fake-pd", fakePd];
    const store = launch(PROGRAMS.store, [...flags, "--address", "127.0.0.1:0", "--status-address", "127.0.0.1:0"]);
    const [, address = ""] = await store.says(/ready: store 2, address (\S+),/);
    const client = await connect({ stores: [address] });
    await client.put("a", "1");
    await client.close();
    for (const dir of [dataDir, join(dataDir, "log")]) {
      for (const command of ["verify", "dump"]) {
        const { code, out, err } = await rheactl("offline", "log", command, dir);
        assert.equal(code, 3, out + err);
        assert.match(err, /LOCKED: .*a store process runs/);
      }
    }
    store.kill("SIGTERM");
    await store.ended;
    const { code, out } = await rheactl("offline", "log", "verify", dataDir);
    assert.equal(code, 0, out);
    assert.match(out, /go on with 1 of 1 groups; the log was closed in order/);
    assert.ok(!out.includes("No lock was found"));
  });
});
