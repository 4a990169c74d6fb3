/** The image, before anything is built on it: its programs, its rights, and how they end. */
import assert from "node:assert/strict";
import { note, timed, useLane } from "../harness/index.js";

describe("image", () => {
  const lane = useLane();
  const pd = ["rhea-pd", "--name", "pd", "--data-dir", "/var/lib/rhea/pd", "--address", "0.0.0.0:7400"];

  for (const program of ["rheactl", "rhea-store", "rhea-pd", "rhea-operator"]) {
    it(`${program} tells its version`, async () => {
      const { code, out } = await lane.run(`version-${program}`, [program, "--version"]);
      assert.deepEqual({ code, isVersion: /^\d+\.\d+\.\d+\n$/.test(out) }, { code: 0, isVersion: true }, out);
    });
  }

  it("rhea-store refuses a flag that it does not know", async () => {
    const { code, out } = await lane.run("bad-flag", ["rhea-store", "--name", "s", "--no-such-flag", "1"]);
    assert.equal(code, 2, out);
    assert.match(out, /INVALID_CONFIG: .*--no-such-flag/);
  });

  it("rhea-pd serves on a read-only root as a user without rights, and SIGTERM ends it in time", async () => {
    await lane.startPod("pd", pd, { writable: ["/var/lib/rhea"] });
    const start = await timed(() => lane.says("pd", /rhea-pd pd ready: cluster 1/));
    note("rhea-pd: pod applied to ready", `${start.seconds} s`);
    const { code, out, err } = await lane.exec("pd", ["rheactl", "--pd", "127.0.0.1:7400", "cluster"]);
    assert.equal(code, 0, out + err);
    // Past the grace period of 30 s it would be killed: well before that it must have gone by itself.
    const end = await timed(() => lane.remove("Pod", "pd", { waitMs: 10_000 }));
    note("SIGTERM to gone", `${end.seconds} s`);
    assert.ok(Number(end.seconds) < 5, `it took ${end.seconds} s`);
  });

  it("has no shell", async () => {
    await lane.startPod("idle", ["node", "-e", "setInterval(() => {}, 1e9)"], { gracePeriodSeconds: 0 });
    await lane.runs("idle");
    const { err } = await lane.exec("idle", ["sh", "-c", "true"]);
    assert.match(err, /"sh": executable file not found/);
  });
});
