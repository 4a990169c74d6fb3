/** PD's members under real processes: they join, lead, fail, leave and come back, and no id is given twice. Runs the built programs. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Admin, PdMemberInfo } from "@rhea/client";
import { connectAdmin } from "@rhea/client/env-node";
import { grpcNet } from "@rhea/common/env-node";
import { RheaError, type RpcChannel } from "@rhea/common";
import { PdMethods } from "@rhea/proto";
import { killAll, launch, PROGRAMS, until, type Running } from "./harness/process.js";

interface Member {
  readonly name: string;
  readonly process: Running;
  readonly address: string;
  readonly status: string;
}

describe("PD's members", function () {
  this.timeout(120_000);
  let folder = "";
  let admin: Admin | undefined;
  const members = new Map<string, Member>();

  const launchMember = (name: string, join_: readonly string[], address = "127.0.0.1:0"): Running =>
    launch(PROGRAMS.pd, [
      ...["--name", name, "--data-dir", join(folder, name), "--address", address, "--status-address", "127.0.0.1:0"],
      ...(join_.length === 0 ? [] : ["--join", join_.join(",")]),
    ]);
  const ready = async (name: string, process: Running): Promise<Member> => {
    const [, address = "", status = ""] = await process.says(/ready: cluster 1, address (\S+), status (\S+)/);
    const member = { name, process, address, status };
    members.set(name, member);
    return member;
  };
  const start = (name: string, join_: readonly string[] = [], address?: string): Promise<Member> =>
    ready(name, launchMember(name, join_, address));
  const addresses = () => [...members.values()].map(({ address }) => address);
  const calls = (): Admin => {
    admin ??= connectAdmin({ pd: addresses() });
    return admin;
  };
  const settled = (names: readonly string[]): Promise<PdMemberInfo[]> =>
    until(`members ${names.join(", ")}, all voters and well`, async () => {
      const list = await calls().members();
      const isThere =
        list
          .map(({ name }) => name)
          .sort()
          .join() === [...names].sort().join();
      return isThere && list.every(({ isVoter, isHealthy }) => isVoter && isHealthy) ? list : undefined;
    });
  const leaderOf = (list: readonly PdMemberInfo[]): Member => {
    const name = list.find(({ isLeader }) => isLeader)?.name ?? "";
    const member = members.get(name);
    assert.ok(member !== undefined, `no leader among ${list.map((one) => one.name).join()}`);
    return member;
  };

  /** An id, from the leader. */
  const allocated = async (): Promise<number> => {
    const channel = grpcNet().connect(leaderOf(await calls().members()).address);
    try {
      return (await channel.unary(PdMethods.AllocId, { count: 1 }, { timeoutMs: 5_000 })).firstId;
    } finally {
      channel.close();
    }
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "rhea-pd-members-"));
    const { address } = await start("pd-0");
    await Promise.all([start("pd-1", [address]), start("pd-2", [address])]);
    await settled(["pd-0", "pd-1", "pd-2"]);
  });
  afterEach(async () => {
    admin?.close();
    admin = undefined;
    members.clear();
    await killAll();
    rmSync(folder, { recursive: true, force: true });
  });

  it("give no id twice while the leader is killed again and again, and while it moves", async () => {
    const first = leaderOf(await calls().members());
    assert.equal(first.name, "pd-0");
    const net = grpcNet();
    const channel = net.connect(members.get("pd-1")?.address ?? "");
    await assert.rejects(channel.unary(PdMethods.ClusterInfo, {}, { timeoutMs: 5_000 }), (error: RheaError) => {
      assert.equal(error.code, "PD_NOT_LEADER");
      assert.equal(error.details.leader?.address, first.address);
      return true;
    });
    channel.close();

    const given = new Set<number>();
    let isOver = false;
    const allocate = async (): Promise<void> => {
      let connection: RpcChannel | undefined;
      for (let at = 0; !isOver;) {
        connection ??= net.connect(addresses()[at % members.size] ?? "");
        try {
          const { firstId, count } = await connection.unary(PdMethods.AllocId, { count: 7 }, { timeoutMs: 2_000 });
          for (let id = firstId; id < firstId + count; id++) {
            assert.ok(!given.has(id), `id ${id} was given twice`);
            given.add(id);
          }
        } catch (thrown) {
          if (!(thrown instanceof RheaError)) throw thrown;
          connection.close();
          connection = undefined;
          at++;
        }
      }
      connection?.close();
    };
    const working = Promise.all([allocate(), allocate()]);
    for (let round = 0; round < 2; round++) {
      const before = given.size;
      const victim = leaderOf(await settled(["pd-0", "pd-1", "pd-2"]));
      victim.process.kill("SIGKILL");
      await victim.process.ended;
      await until("ids from the next leader", async () => (given.size > before + 500 ? true : undefined));
      // It comes back elsewhere: with another port.
      await start(victim.name, addresses());
    }
    const { name } = leaderOf(await settled(["pd-0", "pd-1", "pd-2"]));
    const next = ["pd-0", "pd-1", "pd-2"].find((one) => one !== name) ?? "";
    await calls().transferPdLeader(next);
    const size = given.size;
    await until("ids after the transfer", async () => (given.size > size + 100 ? true : undefined));
    isOver = true;
    await working;
    assert.ok(given.size > 1_000);
    assert.equal(leaderOf(await settled(["pd-0", "pd-1", "pd-2"])).name, next);
  });

  it("are removed while they lead or are away, never below the majority, exit for good, and others take their places", async () => {
    const leader = leaderOf(await calls().members());
    await calls().removeMember(leader.name);
    assert.equal((await leader.process.ended).code, 7);
    members.delete(leader.name);
    const left = [...members.keys()].sort();
    await settled(left);
    await calls().removeMember(leader.name);

    await start("pd-3", addresses());
    await settled([...left, "pd-3"]);
    const away = members.get(left.find((name) => name !== leader.name) ?? "");
    assert.ok(away !== undefined);
    away.process.kill("SIGKILL");
    await away.process.ended;
    members.delete(away.name);
    await calls().removeMember(away.name);
    const back = launchMember(away.name, addresses());
    const { code, err } = await back.ended;
    assert.equal(code, 7);
    assert.match(err, /STALE_IDENTITY.*removed from the cluster/);

    await start("pd-4", addresses());
    const names = [...members.keys()].sort();
    const heir = leaderOf(await settled(names));
    const [silent, other] = names.filter((name) => name !== heir.name);
    members.get(silent ?? "")?.process.kill("SIGKILL");
    await until("the leader notices", async () =>
      (await calls().members()).some(({ name, isHealthy }) => name === silent && !isHealthy) ? true : undefined,
    );
    await assert.rejects(calls().removeMember(other ?? ""), (error: RheaError) => {
      assert.equal(error.code, "OPERATION_REFUSED");
      assert.match(error.message, /of the 2 voters left 1 would be live, 2 are needed/);
      return true;
    });
    await calls().removeMember(silent ?? "");
  });

  it("are followed by a store that knew only one of them, at once and without it ever being down", async () => {
    const first = leaderOf(await calls().members());
    const store = launch(PROGRAMS.store, [
      ...["--name", "s-0", "--data-dir", join(folder, "s-0"), "--address", "127.0.0.1:0"],
      ...["--status-address", "127.0.0.1:0", "--pd", first.address, "--log-level", "error"],
    ]);
    await store.says(/ready: store/);
    const isConnected = async () => ((await calls().stores())[0]?.connected === true ? true : undefined);
    await until("the store's heartbeats", isConnected);
    await calls().setClusterConfig({ logLevel: "info" });
    first.process.kill("SIGKILL");
    await first.process.ended;
    await until("the next leader", async () => (await calls().stores()).at(0));
    const leadingSince = performance.now();
    await until("the store's heartbeats at the next leader", async () => {
      const [info] = await calls().stores();
      assert.equal(info?.store?.state, 0);
      return info.connected ? true : undefined;
    });
    const tookMs = performance.now() - leadingSince;
    assert.ok(tookMs < 3_000, `the store took ${Math.round(tookMs)} ms`);
    // It was told to log more than errors, and loses PD once more: that it says.
    members.delete(first.name);
    await start(first.name, addresses());
    const second = leaderOf(await settled(["pd-0", "pd-1", "pd-2"]));
    second.process.kill("SIGKILL");
    await store.says(/warn .*no heartbeats with PD/);
  });

  it("all start again, by SIGTERM and by kill -9, and go on", async () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const before = [...members.values()];
      const last = await allocated();
      for (const { process } of before) process.kill(signal);
      for (const { process } of before) {
        const { code } = await process.ended;
        assert.equal(code, signal === "SIGTERM" ? 0 : signal);
      }
      await Promise.all(before.map(({ name, address }) => start(name, [], address)));
      await settled([...members.keys()].sort());
      assert.ok((await allocated()) > last);
    }
  });
});
