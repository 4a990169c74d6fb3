import assert from "node:assert/strict";
import { RheaError } from "@rhea/common";
import { PdMethods, type StoreRequest } from "@rhea/proto";
import { createAdmin } from "../client.js";
import { MemoryNet } from "../test-support/memory-net.js";
import { seededRng, VirtualTime } from "../test-support/virtual-time.js";
import type { Admin } from "./admin.js";

interface Members {
  readonly time: VirtualTime;
  readonly net: MemoryNet;
  readonly admin: Admin;
  /** Which member got which request, in order. */
  readonly asked: { member: string; request: StoreRequest }[];
  leader: string;
}

/** Members pd-0..pd-2, of which the client knows the first two. */
async function makeMembers(): Promise<Members> {
  const time = new VirtualTime();
  const net = new MemoryNet(time.scheduler);
  const environment = { net, clock: time.clock, scheduler: time.scheduler, rng: seededRng(5) };
  const admin = createAdmin({ pd: ["pd-0:1", "pd-1:1"], clusterId: 9 }, environment);
  const members: Members = { time, net, admin, asked: [], leader: "pd-0:1" };
  for (const member of ["pd-0:1", "pd-1:1", "pd-2:1"]) {
    const server = net.createServer();
    server.unary(PdMethods.DrainStore, async (request) => {
      members.asked.push({ member, request });
      if (member === members.leader) return { store: { store: { storeId: request.storeId } } };
      const details = members.leader === "" ? {} : { leader: { peerId: 1, storeId: 0, address: members.leader } };
      throw new RheaError("PD_NOT_LEADER", `${member} does not lead`, { details });
    });
    await server.listen(member);
  }
  return members;
}

describe("administration", () => {
  it("names cluster and origin and returns what PD says", async () => {
    const { admin, asked, time } = await makeMembers();
    const store = await time.until(admin.drainStore(3, { origin: "operator" }));
    assert.equal(store.store?.storeId, 3);
    assert.equal(asked[0]?.request.header?.clusterId, 9);
    assert.equal(asked[0].request.origin, "operator");
  });

  it("sends labels for a store and returns it with them", async () => {
    const { admin, net, time } = await makeMembers();
    const server = net.createServer();
    server.unary(PdMethods.SetStoreLabels, (request) =>
      Promise.resolve({ store: { store: { storeId: request.storeId, labels: request.labels, name: request.origin } } }),
    );
    net.kill("pd-0:1");
    net.kill("pd-1:1");
    await server.listen("pd-0:1");
    const { store } = await time.until(admin.setStoreLabels(3, { zone: "a" }, { origin: "operator" }));
    assert.deepEqual([store?.storeId, store?.labels, store?.name], [3, { zone: "a" }, "operator"]);
  });

  it("follows the hint to a member that it did not know, and stays there", async () => {
    const members = await makeMembers();
    members.leader = "pd-2:1";
    await members.time.until(members.admin.drainStore(3));
    await members.time.until(members.admin.drainStore(4));
    assert.deepEqual(
      members.asked.map(({ member }) => member),
      ["pd-0:1", "pd-2:1", "pd-2:1"],
    );
  });

  it("goes to another member when one is down, and waits out an election", async () => {
    const members = await makeMembers();
    members.net.kill("pd-0:1");
    members.leader = "";
    const drain = members.admin.drainStore(3);
    await members.time.advance(1_500);
    members.leader = "pd-1:1";
    await members.time.until(drain);
    assert.ok(members.time.nowMs < 2_500, String(members.time.nowMs));
  });

  it("remembers the members that PD names, for when those it was given are gone", async () => {
    const members = await makeMembers();
    const { net, time, admin } = members;
    const server = net.createServer();
    const list = ["pd-0:1", "pd-1:1", "pd-2:1"].map((address, i) => ({
      ...{ memberId: i + 1, name: `pd-${i}`, address, leader: i === 0, voter: true, healthy: true, state: "member" },
    }));
    server.unary(PdMethods.GetMembers, async () => ({ members: list }));
    await server.listen("pd-0:1");
    const [first] = await time.until(admin.members());
    assert.deepEqual([first?.name, first?.isLeader, first?.isVoter, first?.state], ["pd-0", true, true, "member"]);
    for (const gone of ["pd-0:1", "pd-1:1"]) net.kill(gone);
    members.leader = "pd-2:1";
    await time.until(admin.drainStore(3));
    assert.equal(members.asked.at(-1)?.member, "pd-2:1");
  });

  it("gives up in time and says what it tried", async () => {
    const { admin, net, time } = await makeMembers();
    for (const member of ["pd-0:1", "pd-1:1"]) net.kill(member);
    await assert.rejects(time.until(admin.drainStore(3, { timeoutMs: 700 })), (error: RheaError) => {
      assert.equal(error.code, "DEADLINE_EXCEEDED");
      assert.match(error.message, /pd-0:1, pd-1:1.*UNAVAILABLE/);
      return true;
    });
    assert.ok(time.nowMs <= 700);
  });

  it("does not repeat what PD refuses", async () => {
    const { admin, net, time } = await makeMembers();
    const server = net.createServer();
    let asked = 0;
    server.unary(PdMethods.RemoveStore, async () => {
      asked++;
      throw new RheaError("OPERATION_REFUSED", "3 regions are left on it");
    });
    await server.listen("pd-0:1");
    await assert.rejects(time.until(admin.removeStore(3)), { code: "OPERATION_REFUSED" });
    assert.equal(asked, 1);
  });
});
