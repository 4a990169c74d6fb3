/**
 * Real processes, real kills: clients' histories on a cluster whose stores are killed, stopped and split again and again must be
 * linearizable. What the simulator does with thousands of seeds, once on LevelDB, gRPC and a real disk.
 */
import assert from "node:assert/strict";
import { nodeClock } from "@rhea/common/env-node";
import { RheaError } from "@rhea/common";
import type { RheaClient } from "@rhea/client";
import { connect } from "@rhea/client/env-node";
import {
  checkLinearizable,
  createHistory,
  registerModel,
  runRegisterOp,
  type RegisterOp,
  type RegisterResult,
} from "@rhea/history";
import { createScene } from "./smoke/scene.js";

const CLIENTS = 12;
const KEYS = 60;
const KILLS = 5;

/** A cheap, replayable choice: the kills' timing is not replayable anyway. */
function createChoice(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * bound);
  };
}

describe("clients of a cluster that is killed piece by piece", function () {
  this.timeout(120_000);
  const scene = createScene({ stores: 3 });
  after(async () => {
    await scene.cleanUp(false);
  });

  it("see a linearizable register per key", async () => {
    const choose = createChoice(Number(process.env["SEED"] ?? 1));
    await scene.start();
    await scene.cluster().ready(30_000);
    const { pd } = scene.cluster().status();
    const history = createHistory<RegisterOp, RegisterResult>(nodeClock);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect({ pd, timeoutMs: 5_000 })));
    let isDone = false;
    let answered = 0;
    let waiting: { goal: number; go: () => void } | undefined;
    const work = async (client: RheaClient, name: string): Promise<void> => {
      for (let serial = 0; !isDone; serial++) {
        const key = `key/${choose(KEYS)}`;
        const value = `${name}-${serial}`;
        const dice = choose(8);
        const op: RegisterOp =
          dice < 3
            ? { kind: "get", key }
            : dice < 5
              ? { kind: "put", key, value }
              : dice < 6
                ? { kind: "delete", key }
                : dice < 7
                  ? { kind: "putIfAbsent", key, value }
                  : { kind: "getAndPut", key, value };
        const id = history.invoke(name, op);
        try {
          history.complete(id, await runRegisterOp(client, op));
          answered++;
          if (waiting !== undefined && answered >= waiting.goal) waiting.go();
        } catch (error) {
          // Reads have no effect; a write counts as open unless it certainly failed.
          assert(error instanceof RheaError, String(error));
          if (op.kind === "get" || error.details.maybeApplied === false) history.fail(id);
        }
      }
    };
    const working = clients.map((client, i) => work(client, `c${i}`));
    const { admin } = clients[0] ?? assert.fail("no client");
    const untilMore = (count: number) =>
      new Promise<void>((go) => {
        waiting = { goal: answered + count, go };
      });
    await untilMore(500);
    const { routes } = await admin.regions({});
    await admin.addOperation({
      kind: "split",
      regionId: routes[0]?.region?.regionId ?? 0,
      splitKey: "key/3",
      origin: "user",
      reason: "test",
    });
    for (let i = 0; i < KILLS; i++) {
      const stores = scene
        .cluster()
        .status()
        .processes.filter((row) => row.name.includes("store"));
      const victim = stores[choose(stores.length)] ?? assert.fail("no store");
      scene.cluster().kill(victim.name, "SIGKILL");
      await untilMore(300);
      await scene.cluster().ready(30_000);
      await untilMore(300);
    }
    isDone = true;
    await Promise.all(working);
    await Promise.all(clients.map((client) => client.close()));
    const verdict = checkLinearizable(history, registerModel);
    assert(verdict.ok, verdict.ok ? "" : `key ${verdict.key}: ${verdict.kind}\n${verdict.witness}`);
    assert(answered > 3_000, `only ${answered} answers`);
  });
});
