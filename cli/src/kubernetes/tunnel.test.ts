import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { pipeline } from "node:stream";
import { openTunnel, podOf } from "./tunnel.js";

describe("the tunnel", () => {
  it("leads each address to its pod, and the same address to the same socket", async () => {
    const asked: string[] = [];
    const tunnel = openTunnel(
      async (pod, port, socket) => {
        asked.push(`${pod} ${port}`);
        pipeline(socket, socket, () => undefined); // an echo
      },
      () => assert.fail("nothing may go wrong"),
    );
    try {
      const first = tunnel.dial("demo-store-0.demo-stores.ns.svc:7410");
      const second = tunnel.dial("demo-pd-1.demo-pd.ns.svc:7400");
      assert.notEqual(first, second);
      assert.equal(tunnel.dial("demo-store-0.demo-stores.ns.svc:7410"), first);
      for (const address of [first, second]) {
        const socket = connect(address.slice("unix:".length));
        socket.write("hello");
        const [answer] = (await once(socket, "data")) as [Buffer];
        assert.equal(answer.toString(), "hello");
        socket.destroy();
      }
      assert.deepEqual(asked, ["demo-store-0 7410", "demo-pd-1 7400"]);
    } finally {
      tunnel.close();
    }
  });

  it("tells what kept a connection from its pod, and ends that connection", async () => {
    const errors: string[] = [];
    const tunnel = openTunnel(
      () => Promise.reject(new Error("pod not found")),
      (address, error) => errors.push(`${address}: ${String(error)}`),
    );
    try {
      const socket = connect(tunnel.dial("gone-0.gone.ns.svc:7410").slice("unix:".length));
      await once(socket, "close");
      assert.deepEqual(errors, ["gone-0.gone.ns.svc:7410: Error: pod not found"]);
    } finally {
      tunnel.close();
    }
  });

  it("takes the pod's name from the first label", () => {
    assert.deepEqual(podOf("demo-store-12.demo-stores.ns.svc:7410"), { pod: "demo-store-12", port: 7410 });
  });
});
