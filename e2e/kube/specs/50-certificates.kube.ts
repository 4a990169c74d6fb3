/** Certificates are exchanged while the cluster works, its authority too. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { note, startLoad, timed, until, useLane, type Secret } from "../harness/index.js";

const LEAVES = ["demo-pd-0-tls", "demo-store-0-tls", "demo-store-1-tls", "demo-store-2-tls", "demo-client"];

describe("certificates", () => {
  const lane = useLane({ operator: true });
  const demo = () => lane.rheaCluster("demo");
  const spec = { pd: { replicas: 1, storage: { size: "1Gi" } }, stores: { replicas: 3, storage: { size: "1Gi" } } };
  const pem = async (secret: string, entry: string) =>
    Buffer.from((await lane.get<Secret>("Secret", secret))?.data?.[entry] ?? "", "base64").toString();
  const serial = async (secret: string) => new X509Certificate(await pem(secret, "tls.crt")).serialNumber;
  const annotate = (annotations: object) => lane.patch("RheaCluster", "demo", { metadata: { annotations } });

  it("every part has a certificate of its own by the cluster's authority", async () => {
    await demo().apply(spec);
    await demo().untilReady(90_000);
    const serials = await Promise.all(LEAVES.map(serial));
    assert.equal(new Set(serials).size, LEAVES.length);
    const authority = new X509Certificate(await pem("demo-client", "ca.crt"));
    for (const name of LEAVES)
      assert.ok(new X509Certificate(await pem(name, "tls.crt")).verify(authority.publicKey), name);
    const status = (await demo().get())?.status as { certificates?: { nextExpiryAt?: string } } | undefined;
    assert.ok(Date.parse(status?.certificates?.nextExpiryAt ?? "") > Date.now() + 30 * 86_400_000);
  });

  it("new leaves under load: no restart, no failed operation", async () => {
    const load = await startLoad(await demo().connect(), { writers: 4, pauseMs: 20 });
    const pods = (await demo().pods()).map(({ metadata }) => metadata.uid);
    const before = await serial("demo-store-0-tls");
    const { seconds } = await timed(async () => {
      await annotate({ "rheakv.io/rotate-certificates": "1" });
      await until("another certificate", async () => (await serial("demo-store-0-tls")) !== before, 60_000);
      await until(
        "the store serves with it",
        async () => (await served("demo-store-0")) === (await serial("demo-store-0-tls")),
        150_000,
      );
    });
    note("leaves rotated and in use", `${seconds} s`);
    const seen = await load.stop();
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
    assert.deepEqual(
      (await demo().pods()).map(({ metadata }) => metadata.uid),
      pods,
    );
  });

  it("a new authority under load, the old one trusted beside it for an hour: no restart, no failed operation", async function () {
    this.timeout(400_000); // the new authority signs once the kubelets have had two minutes to bring it everywhere
    const load = await startLoad(await demo().connect(), { writers: 4, pauseMs: 20, prefix: "ca/" });
    const pods = (await demo().pods()).map(({ metadata }) => metadata.uid);
    const old = (await pem("demo-client", "ca.crt")).trim();
    const oldKey = new X509Certificate(old).publicKey;
    const isByOld = async (secret: string) => new X509Certificate(await pem(secret, "tls.crt")).verify(oldKey);
    const { seconds } = await timed(async () => {
      await annotate({ "rheakv.io/rotate-ca": "1" });
      await until(
        "the bundle has both",
        async () => {
          const bundle = await pem("demo-client", "ca.crt");
          return bundle.includes(old) && bundle.trim() !== old;
        },
        60_000,
      );
      await until(
        "every certificate is of the new authority",
        async () => !(await Promise.all(LEAVES.map(isByOld))).includes(true),
        240_000,
        { everyMs: 2_000 },
      );
      await until(
        "a store serves with its new certificate",
        async () => (await served("demo-store-0")) === (await serial("demo-store-0-tls")),
        150_000,
      );
    });
    note("authority exchanged and in use", `${seconds} s`);
    assert.ok((await pem("demo-client", "ca.crt")).includes(old), "who still has an old certificate must be let in");
    await demo().untilReady(60_000);
    const seen = await load.stop();
    assert.equal(seen.failed, 0, JSON.stringify(seen.errors));
    assert.deepEqual(
      (await demo().pods()).map(({ metadata }) => metadata.uid),
      pods,
    );
    const fresh = await demo().rheactl(["put", "after", "rotation"]);
    assert.equal(fresh.code, 0, fresh.out);
  });

  /** Serial number of the certificate that a store shows. */
  async function served(store: string): Promise<string> {
    const { connect } = await import("node:tls");
    const host = `${store}.demo-stores.${lane.namespace}.svc`;
    return new Promise((resolve, reject) => {
      const socket = connect(
        { host, port: 7410, servername: host, rejectUnauthorized: false, ALPNProtocols: ["h2"] },
        () => {
          resolve(socket.getPeerX509Certificate()?.serialNumber ?? "");
          socket.destroy();
        },
      );
      socket.on("error", reject);
    });
  }
});
