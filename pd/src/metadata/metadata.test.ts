import { strict as assert } from "node:assert";
import { silentLogger } from "@rhea/common";
import { sampleDescriptor } from "../testing/samples.js";
import { VirtualTime } from "../testing/virtual-time.js";
import { regionToProto } from "../cluster/index.js";
import { IdSource } from "./id-source.js";
import { MemoryMetadata } from "./memory-metadata.js";
import { Records } from "./records.js";
import { WriteBehind } from "./write-behind.js";

describe("Records", () => {
  it("lets exactly one of many bootstraps win", async () => {
    const records = new Records(new MemoryMetadata());
    const candidates = [11, 12, 13, 14];
    const won = await Promise.all(
      candidates.map((id) =>
        records.bootstrap({
          clusterId: 1,
          createdAt: 0,
          firstRegion: regionToProto(sampleDescriptor(id, [1])) as never,
        }),
      ),
    );
    assert.equal(won.filter(Boolean).length, 1);
    assert.equal((await records.readBootstrap())?.firstRegion?.regionId, candidates[won.indexOf(true)]);
  });
});

describe("IdSource", () => {
  const open = async (metadata: MemoryMetadata) => {
    const records = new Records(metadata);
    return new IdSource(records, (await records.load(0)).idEnd, silentLogger);
  };

  it("never gives an id out twice, over restarts and while it refills", async () => {
    const disk = new Map<string, Uint8Array>();
    const seen = new Set<number>();
    for (let restart = 0; restart < 4; restart++) {
      const ids = await open(new MemoryMetadata(disk));
      const firsts = await Promise.all(
        [1, 700, 1, 999, 3].map(async (count) => ({ first: await ids.allocate(count), count })),
      );
      for (const { first, count } of firsts) {
        for (let id = first; id < first + count; id++) {
          assert.ok(!seen.has(id) && id > 1, `id ${id}`);
          seen.add(id);
        }
      }
    }
  });

  it("gives nothing out after another leader has moved the window", async () => {
    const disk = new Map<string, Uint8Array>();
    const older = await open(new MemoryMetadata(disk));
    const newer = await open(new MemoryMetadata(disk));
    const first = await newer.allocate(1);
    await assert.rejects(older.allocate(1), /another PD leader/);
    assert.equal(first, 2);
  });
});

describe("WriteBehind", () => {
  it("writes a region's latest state only, and tries again after a failure", async () => {
    const time = new VirtualTime();
    const metadata = new MemoryMetadata();
    const records = new Records(metadata);
    const queue = new WriteBehind(records, time, silentLogger);
    for (let confVer = 1; confVer <= 50; confVer++) queue.saveRegion({ ...sampleDescriptor(7, [1]), confVer });
    await time.settle();
    assert.equal(metadata.writes, 1);
    metadata.setLeader(false);
    queue.saveRegion({ ...sampleDescriptor(7, [1]), confVer: 51 });
    queue.removeRegion(8);
    await time.pass(1500);
    assert.equal(queue.pending, 2);
    metadata.setLeader(true);
    await time.pass(1500);
    assert.equal(queue.pending, 0);
    assert.equal((await records.load(0)).regions[0]?.confVer, 51);
  });
});
