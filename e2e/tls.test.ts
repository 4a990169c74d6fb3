/** A cluster of real processes under mutual TLS: it serves, exchanges its certificates and its CA while it is written to, and knows no strangers. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tls from "node:tls";
import type { RheaClient } from "@rhea/client";
import { connect } from "@rhea/client/env-node";
import type { TlsFiles } from "@rhea/common";
import { nodeRng } from "@rhea/common/env-node";
import { createCa, describeCertificate, issue, type KeyPair } from "@rhea/operator";
import { killAll, launch, PROGRAMS, run, until } from "./harness/process.js";

const HOUR_MS = 3_600_000;
const WRITERS = 8;
const STORES = ["store-0", "store-1", "store-2"];

function newCa(name: string): Promise<KeyPair> {
  return createCa({ name, nowMs: Date.now(), validMs: HOUR_MS, rng: nodeRng });
}

describe("a cluster under TLS", function () {
  this.timeout(60_000);
  let folder = "";
  let client: RheaClient | undefined;
  const versions = new Map<string, number>();
  const serials = new Map<string, string>();
  const addresses = new Map<string, string>();

  /** Writes a certificate as kubelet refreshes a mounted Secret: all files at once, by the swap of a link. */
  const install = async (name: string, ca: KeyPair, trusted: readonly KeyPair[]): Promise<TlsFiles> => {
    const { certPem, keyPem } = await issue({
      ...{ ca, commonName: name, dnsNames: [name], ipAddresses: ["127.0.0.1"], usages: "both" },
      ...{ validMs: HOUR_MS, nowMs: Date.now(), rng: nodeRng },
    });
    const version = (versions.get(name) ?? -1) + 1;
    versions.set(name, version);
    serials.set(name, describeCertificate(certPem).serial);
    const directory = join(folder, "tls", name);
    const data = join(directory, `..${version}`);
    mkdirSync(data, { recursive: true });
    const files = { "ca.crt": trusted.map((each) => each.certPem).join(""), "tls.crt": certPem, "tls.key": keyPem };
    for (const [file, text] of Object.entries(files)) {
      writeFileSync(join(data, file), text);
      if (version === 0) symlinkSync(join("..data", file), join(directory, file));
    }
    symlinkSync(`..${version}`, join(directory, "..tmp"));
    renameSync(join(directory, "..tmp"), join(directory, "..data"));
    const [caFile, certFile, keyFile] = ["ca.crt", "tls.crt", "tls.key"].map((file) => join(directory, file));
    return { caFile: caFile ?? "", certFile: certFile ?? "", keyFile: keyFile ?? "" };
  };
  const flagsOf = ({ caFile, certFile, keyFile }: TlsFiles): string[] => [
    ...["--tls.ca-file", caFile, "--tls.cert-file", certFile, "--tls.key-file", keyFile],
  ];
  /** The serial number that a process shows to a new connection. */
  const shown = (name: string): Promise<string | undefined> =>
    new Promise((resolve) => {
      const [host = "", port = ""] = (addresses.get(name) ?? "").split(":");
      const socket = tls.connect({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ["h2"] }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.on("error", () => resolve(undefined));
    });

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "rhea-e2e-tls-"));
  });
  after(async () => {
    await client?.close();
    await killAll();
    rmSync(folder, { recursive: true });
  });

  it("serves, rotates certificates and CA under writes without a failed one, and refuses strangers", async () => {
    const [first, second, stranger] = await Promise.all([newCa("first"), newCa("second"), newCa("stranger")]);
    const everyone = ["pd-0", ...STORES];

    const common = ["--address", "127.0.0.1:0", "--status-address", "127.0.0.1:0", "--log-level", "warn"];
    const start = async (name: string, program: string, more: readonly string[]): Promise<void> => {
      const files = await install(name, first, [first]);
      const flags = ["--name", name, "--data-dir", join(folder, name), ...common, ...flagsOf(files), ...more];
      const [, address = ""] = await launch(program, flags).says(/ready: \w+ \d+, address (\S+),/, 30_000);
      addresses.set(name, address);
    };
    await start("pd-0", PROGRAMS.pd, []);
    const pd = [addresses.get("pd-0") ?? ""];
    await Promise.all(STORES.map((name) => start(name, PROGRAMS.store, ["--pd", pd.join(",")])));

    const files = await install("client", first, [first]);
    const kv = await connect({ pd, tls: files });
    client = kv;
    await until("three healthy peers", async () => {
      const { health } = await kv.admin.regions({ withHealth: true });
      return health.length > 0 && health.every((one) => one.fullyReplicated) ? true : undefined;
    });
    const rheactl = ["--ca-file", files.caFile, "--cert-file", files.certFile, "--key-file", files.keyFile];
    const put = await run(PROGRAMS.rheactl, ["--pd", pd.join(","), ...rheactl, "put", "by/rheactl", "1"]);
    assert.equal(put.code, 0, put.err);

    const load = { isOver: false, writes: 0, connections: 0 };
    const writing = Array.from({ length: WRITERS }, async (_, writer) => {
      for (let serial = 0; !load.isOver; serial++, load.writes++) await kv.put(`key/${writer}/${serial}`, `${serial}`);
    });
    const connecting = (async () => {
      for (; !load.isOver; load.connections++) {
        const fresh = await connect({ pd, tls: files });
        await fresh.put("key/fresh", "x").finally(() => fresh.close());
      }
    })();
    const working = Promise.all([...writing, connecting]);
    const broken = working.then(() => assert.fail("the load ended early"));
    broken.catch(() => undefined); // it is looked at below, and ends so when all is over

    const step = async (ca: KeyPair, trusted: readonly KeyPair[]): Promise<void> => {
      for (const name of [...everyone, "client"]) await install(name, ca, trusted);
      for (const name of everyone) {
        const renewed = async () => ((await shown(name)) === serials.get(name) ? true : undefined);
        await Promise.race([until(`${name} shows its new certificate`, renewed, 10_000), broken]);
      }
      const { writes, connections } = load;
      const goesOn = async () => (load.writes > writes + 50 && load.connections > connections + 1 ? true : undefined);
      await Promise.race([until("writes and new clients go on", goesOn, 15_000), broken]);
    };
    await step(first, [first, second]);
    await step(second, [first, second]);
    await step(second, [second]);
    load.isOver = true;
    await working;
    assert(load.writes > 150, `${load.writes} writes`);
    assert.equal((await kv.get("key/0/0"))?.toString(), "0");
    assert.equal((await kv.get("by/rheactl"))?.toString(), "1");

    const short = { pd, timeoutMs: 1_500 };
    const outsider = await install("outsider", stranger, [second]);
    const refused = (error: Error): boolean => /seems not to accept this side's certificate/.test(error.message);
    await assert.rejects(connect({ ...short, tls: outsider }), refused);
    const late = await install("late", first, [second]);
    await assert.rejects(connect({ ...short, tls: late }), refused, "of the CA that was taken out");
    await assert.rejects(connect(short), /it may want TLS/);
    const plain = { stores: [addresses.get("store-1") ?? ""], timeoutMs: 1_500 };
    await assert.rejects(connect(plain), /it may want TLS/);
  });

  it("does not start with files that are missing or no good, and says which", async () => {
    const files = await install("bad", await newCa("any"), []);
    for (const program of [PROGRAMS.store, PROGRAMS.pd]) {
      const flags = ["--name", "x", "--data-dir", join(folder, "x"), "--tls.ca-file", files.caFile];
      const partial = await run(program, flags);
      assert.equal(partial.code, 2);
      assert.match(partial.err, /INVALID_CONFIG.*tls\.certFile and tls\.keyFile missing/);
      const rest = ["--tls.cert-file", files.certFile, "--tls.key-file", files.keyFile];
      const garbage = await run(program, [...flags, ...rest]);
      assert.equal(garbage.code, 2);
      assert.match(garbage.err, /INVALID_CONFIG.*TLS file .*bad.ca\.crt: 0 whole PEM certificates/);
    }
  });
});
