import assert from "node:assert/strict";
import type { LocalStatus } from "./local-status.js";
import { renderHints, renderStatus } from "./status-table.js";

const STATUS: LocalStatus = {
  name: "demo",
  dataDir: "/home/ada/rhea/.rhea",
  pd: ["127.0.0.1:7400"],
  isReady: false,
  cluster: {
    ...{ observedGeneration: 1, replicas: 1, pd: { ready: true, members: 1, list: [] }, stores: [] },
    conditions: [
      {
        type: "Ready",
        status: "False",
        reason: "NotSettled",
        message: "1 of 2 stores serve",
        lastTransitionTime: "2026-01-01T00:00:00.000Z",
      },
    ],
    plan: [{ action: "start demo-store-1", reason: "it ended by SIGKILL 0.1 s ago", proof: "p", undo: "u" }],
  },
  processes: [
    {
      name: "demo-store-0",
      role: "store",
      state: "Up",
      pid: 4711,
      address: "127.0.0.1:7410",
      statusAddress: "127.0.0.1:7411",
      regions: 1,
      leaders: 1,
      dataPath: "/home/ada/rhea/.rhea/stores/demo-store-0",
      logPath: "/home/ada/rhea/.rhea/logs/demo-store-0.log",
    },
    {
      name: "demo-store-1",
      role: "store",
      state: "Down",
      pid: undefined,
      address: "127.0.0.1:7420",
      statusAddress: "127.0.0.1:7421",
      regions: undefined,
      leaders: undefined,
      dataPath: "/data/stores/demo-store-1",
      logPath: "/data/logs/demo-store-1.log",
    },
  ],
  problems: ["the cluster file is not taken over: c.yaml:7:5: unknown key spec.store"],
};

describe("status table", () => {
  it("shows each process with pid, addresses and paths, what is next and what is wrong", () => {
    assert.deepEqual(renderStatus(STATUS, "/home/ada/rhea"), [
      "demo: NotSettled; 1 of 2 stores serve",
      "",
      "NAME          STATE  PID   ADDRESS         STATUS          REGIONS  LEADERS  DATA                       LOG",
      "demo-store-0  Up     4711  127.0.0.1:7410  127.0.0.1:7411  1        1        .rhea/stores/demo-store-0  .rhea/logs/demo-store-0.log",
      "demo-store-1  Down   -     127.0.0.1:7420  127.0.0.1:7421  -        -        /data/stores/demo-store-1  /data/logs/demo-store-1.log",
      "",
      "  next: start demo-store-1 (it ended by SIGKILL 0.1 s ago)",
      "  ! the cluster file is not taken over: c.yaml:7:5: unknown key spec.store",
    ]);
  });

  it("puts the paths in a table of their own where lines are narrow", () => {
    const lines = renderStatus(STATUS, "/home/ada/rhea", 80).slice(2, 9);
    assert.deepEqual(lines, [
      "NAME          STATE  PID   ADDRESS         STATUS          REGIONS  LEADERS",
      "demo-store-0  Up     4711  127.0.0.1:7410  127.0.0.1:7411  1        1",
      "demo-store-1  Down   -     127.0.0.1:7420  127.0.0.1:7421  -        -",
      "",
      "NAME          DATA                       LOG",
      "demo-store-0  .rhea/stores/demo-store-0  .rhea/logs/demo-store-0.log",
      "demo-store-1  /data/stores/demo-store-1  /data/logs/demo-store-1.log",
    ]);
  });

  it("gives things to try that fit the cluster", () => {
    const hints = renderHints(STATUS, "examples/rheacluster.yaml", undefined).join("\n");
    assert.match(hints, /npx --no rheactl put a 1 && npx --no rheactl get a/);
    assert.match(hints, /stores\.replicas to 5 in examples\/rheacluster\.yaml/);
    assert.match(hints, /kill -9 4711 /);
  });
});
