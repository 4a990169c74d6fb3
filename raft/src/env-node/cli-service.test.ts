import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@rhea/common";
import { grpcNet, nodeClock, nodeScheduler } from "@rhea/common/env-node";
import { createCliService, createRouteTable, parsePeer, type CliService, type Configuration } from "../cli/index.js";
import type { PeerInfo, StateMachine } from "../node/index.js";
import { startRaftServer, type RaftServer } from "./index.js";

const GROUP = 7;

/** Counts entries; a snapshot is the count. */
function counter(): StateMachine {
  let count = 0;
  return {
    onApply: (entries) => {
      count += entries.filter(({ data }) => data.length > 0).length;
    },
    onSnapshotSave: async (_directory, writer) => {
      await writer.write("count", Buffer.from(String(count)));
      return writer.saved();
    },
    onSnapshotLoad: async (files) => {
      count = Number((await files.read("count")).toString());
    },
  };
}

async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
}

const addressesOf = (peers: Configuration): string[] => peers.map(({ address = "?" }) => address).sort();

describe("CliService over gRPC", function () {
  this.timeout(60_000);
  const servers = new Map<string, RaftServer>();
  let root: string;
  let addresses: string[];
  let cli: CliService;

  async function start(address: string, join_: boolean): Promise<void> {
    const peers = addresses.slice(0, 3).join(",");
    const server = await startRaftServer({
      dataDirectory: join(root, address.replace(":", "-")),
      address,
      ...(join_ ? { join: true } : { peers }),
      groups: [{ groupId: GROUP, stateMachine: counter() }],
      limits: { tickMs: 20 },
      logger: silentLogger,
    });
    servers.set(address, server);
  }

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "rhea-cli-"));
    addresses = [];
    for (let i = 0; i < 5; i++) addresses.push(await freeAddress());
    await Promise.all(addresses.slice(0, 3).map((address) => start(address, false)));
    await Promise.all(addresses.slice(3).map((address) => start(address, true)));
    cli = createCliService({ net: grpcNet(), clock: nodeClock, scheduler: nodeScheduler, timeoutMs: 20_000 });
  });

  afterEach(async () => {
    cli.close();
    for (const server of servers.values()) await server.close();
    servers.clear();
    rmSync(root, { recursive: true, force: true });
  });

  it("makes a round of all calls, by addresses alone", async () => {
    const [a = "", b = "", c = "", d = "", e = ""] = addresses;
    const three = `${a},${b},${c}`;
    const at = (address: string): PeerInfo => parsePeer(address);
    const leader = await cli.getLeader(GROUP, three);
    ok([a, b, c].includes(leader.address ?? ""));
    deepEqual(addressesOf(await cli.getPeers(GROUP, three)), [a, b, c].sort());
    deepEqual(addressesOf(await cli.getAlivePeers(GROUP, three)), [a, b, c].sort());

    deepEqual(addressesOf(await cli.addPeer(GROUP, three, at(d))), [a, b, c, d].sort());
    await cli.addLearners(GROUP, three, e);
    deepEqual(addressesOf(await cli.getLearners(GROUP, three)), [e]);
    deepEqual(addressesOf(await cli.getAliveLearners(GROUP, three)), [e]);
    await cli.learnerToFollower(GROUP, three, at(e));
    deepEqual(addressesOf(await cli.getPeers(GROUP, three)), [a, b, c, d, e].sort());

    await cli.transferLeader(GROUP, three, at(d));
    equal((await cli.getLeader(GROUP, three)).address, d);
    await cli.transferLeader(GROUP, three, "any");
    ok((await cli.getLeader(GROUP, three)).address !== d);
    ok((await cli.snapshot(GROUP, at(e))).index > 0);

    await cli.changePeers(GROUP, three, `${c},${d},${e}`);
    deepEqual(addressesOf(await cli.getPeers(GROUP, d)), [c, d, e].sort());
    await cli.removePeer(GROUP, `${c},${d},${e}`, at(c));
    deepEqual(addressesOf(await cli.getPeers(GROUP, d)), [d, e].sort());
    await rejects(cli.resetLearners(GROUP, d, e), { code: "OPERATION_REFUSED" });
    await cli.resetLearners(GROUP, d, []);
    await cli.removeLearners(GROUP, d, a);

    const table = createRouteTable(cli);
    table.updateConfiguration(GROUP, d);
    ok([d, e].includes((await table.refreshLeader(GROUP)).address ?? ""));
    equal((await table.refreshConfiguration(GROUP)).length, 2);
    equal((await cli.rebalance([GROUP], d)).failed.size, 0);

    await rejects(cli.resetPeer(GROUP, at(d), d), { code: "OPERATION_REFUSED" });
    await servers.get(e)?.close();
    servers.delete(e);
    // Until it has noticed that it has no quorum any more.
    for (let i = 0; ; i++) {
      try {
        await cli.resetPeer(GROUP, at(d), d);
        break;
      } catch (error) {
        if (i === 100) throw error;
        await new Promise<void>((resolve) => nodeScheduler.setTimer(50, resolve));
      }
    }
    equal((await cli.getLeader(GROUP, d)).address, d);
    deepEqual(addressesOf(await cli.getPeers(GROUP, d)), [d]);
  });
});
