/** Certificates made here, in force on real sockets: who gets in, what a refused one is told, and what a rotation does to running calls. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tls from "node:tls";
import type { Logger, Net, RpcChannel, RpcMethod, RpcServer, RpcStream, TlsFiles } from "@rhea/common";
import { grpcNet, nodeRng } from "@rhea/common/env-node";
import { createCa, describeCertificate, issue, type KeyPair } from "./index.js";

const HOUR_MS = 3_600_000;
const codec = {
  encodeRequest: (text: string) => Buffer.from(text),
  decodeRequest: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
  encodeResponse: (text: string) => Buffer.from(text),
  decodeResponse: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};
const Echo: RpcMethod<string, string, string, string> = { path: "/test.T/Echo", kind: "unary", ...codec };
const Talk: RpcMethod<string, string, string, string> = { path: "/test.T/Talk", kind: "stream", ...codec };
const CALL = { timeoutMs: 10_000 };

type Contents = Readonly<Record<"ca.crt" | "tls.crt" | "tls.key", string>>;

function newCa(name = "demo", nowMs = Date.now()): Promise<KeyPair> {
  return createCa({ name, nowMs, validMs: 24 * HOUR_MS, rng: nodeRng });
}

async function contents(
  ca: KeyPair,
  options: { bundle?: string; dnsNames?: string[]; ipAddresses?: string[]; nowMs?: number } = {},
): Promise<Contents> {
  const { bundle = ca.certPem, dnsNames = ["demo-store-0.demo-stores.ns.svc"], ipAddresses = ["127.0.0.1"] } = options;
  const leaf = await issue({
    ...{ ca, commonName: "demo-store-0", dnsNames, ipAddresses, usages: "both" },
    ...{ validMs: HOUR_MS, nowMs: options.nowMs ?? Date.now(), rng: nodeRng },
  });
  return { "ca.crt": bundle, "tls.crt": leaf.certPem, "tls.key": leaf.keyPem };
}

function filesIn(directory: string): TlsFiles {
  return {
    caFile: join(directory, "ca.crt"),
    certFile: join(directory, "tls.crt"),
    keyFile: join(directory, "tls.key"),
  };
}

/** Each file by a rename of its own, as certbot and editors do: a pair is mixed for a moment. */
function replaceByRename(directory: string, files: Contents): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, `.${name}`), text);
    renameSync(join(directory, `.${name}`), join(directory, name));
  }
}

/** All files at once by the swap of one link, as kubelet does with mounted Secrets. */
function replaceByLink(directory: string, files: Contents, version: number): void {
  const data = join(directory, `..v${version}`);
  mkdirSync(data, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(data, name), text);
    if (version === 0) symlinkSync(join("..data", name), join(directory, name));
  }
  symlinkSync(`..v${version}`, join(directory, "..data_tmp"));
  renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
}

/** The serial number of the certificate that a server shows to a new connection. */
function shownSerial(address: string, files: Contents): Promise<string> {
  const [host = "", port = ""] = address.split(":");
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      {
        ...{ host, port: Number(port), ca: files["ca.crt"], cert: files["tls.crt"], key: files["tls.key"] },
        ...{ checkServerIdentity: () => undefined, ALPNProtocols: ["h2"] },
      },
      () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      },
    );
    socket.on("error", reject);
  });
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 8_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) assert.fail(`not within 8 s: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("mutual TLS", function () {
  this.timeout(15_000);
  let root: string;
  let ca: KeyPair;
  const servers: RpcServer[] = [];
  const channels: RpcChannel[] = [];
  const lines: string[] = [];
  const logger: Logger = {
    isEnabled: () => true,
    log: (_level, message) => void lines.push(message),
    child: () => logger,
  };

  const place = (name: string, files: Contents): TlsFiles => {
    replaceByRename(join(root, name), files);
    return filesIn(join(root, name));
  };
  const secured = (files: TlsFiles, dial?: (address: string) => string): Net =>
    grpcNet({ tls: files, reloadMs: 20, logger, dial });
  const serve = async (net: Net): Promise<string> => {
    const server = net.createServer();
    servers.push(server);
    server.unary(Echo, (text) => Promise.resolve(text));
    server.stream(Talk, (stream) => {
      stream.listen({ onMessage: (text) => void stream.send(text), onClose: () => stream.close() });
    });
    return server.listen("127.0.0.1:0");
  };
  const call = (net: Net, address: string): Promise<string> => {
    const channel = net.connect(address);
    channels.push(channel);
    return channel.unary(Echo, "hello", CALL);
  };

  before(async () => {
    ca = await newCa();
  });
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "rhea-tls-"));
    lines.length = 0;
  });
  afterEach(async () => {
    for (const channel of channels.splice(0)) channel.close();
    await Promise.all(servers.splice(0).map((server) => server.close(0)));
    rmSync(root, { recursive: true });
  });

  it("lets in who holds a certificate of the CA, by TLS 1.3", async () => {
    const mine = await contents(ca);
    const address = await serve(secured(place("server", mine)));
    assert.equal(await call(secured(place("client", await contents(ca))), address), "hello");
    const [host = "", port = ""] = address.split(":");
    const old = tls.connect({ host, port: Number(port), ca: ca.certPem, maxVersion: "TLSv1.2" });
    const error = await new Promise<Error>((resolve) => old.on("error", resolve));
    assert.match(error.message, /protocol version/i);
  });

  it("refuses a client without a certificate", async () => {
    const address = await serve(secured(place("server", await contents(ca))));
    const [host = "", port = ""] = address.split(":");
    const socket = tls.connect({ host, port: Number(port), ca: ca.certPem, ALPNProtocols: ["h2"] });
    const error = await new Promise<Error>((resolve) => socket.on("error", resolve));
    assert.match(error.message, /certificate required/);
  });

  it("refuses a stranger's certificate, and tells the stranger which one", async () => {
    const stranger = await newCa("stranger");
    const address = await serve(secured(place("server", await contents(ca))));
    // It knows the cluster's CA, but its own certificate is another's.
    const files = await contents(stranger, { bundle: ca.certPem });
    await assert.rejects(call(secured(place("client", files)), address), {
      code: "UNAVAILABLE",
      message: new RegExp(
        `seems not to accept this side's certificate.*${describeCertificate(files["tls.crt"]).serial}`,
      ),
    });
    await assert.rejects(call(secured(place("other", await contents(stranger))), address), {
      code: "UNAVAILABLE",
      message: /is not signed by a CA of this side's CA file/,
    });
  });

  it("refuses plain text, and says that TLS is wanted", async () => {
    const address = await serve(secured(place("server", await contents(ca))));
    await assert.rejects(call(grpcNet(), address), { code: "UNAVAILABLE", message: /it may want TLS/ });
    const plain = await serve(grpcNet());
    await assert.rejects(call(secured(place("client", await contents(ca))), plain), {
      code: "UNAVAILABLE",
      message: /TLS/,
    });
  });

  it("refuses a server of another name or out of date", async () => {
    const client = secured(place("client", await contents(ca)));
    const other = await contents(ca, { dnsNames: ["demo-store-7"], ipAddresses: ["10.0.0.1"] });
    await assert.rejects(call(client, await serve(secured(place("other", other)))), {
      code: "UNAVAILABLE",
      message: /is for DNS:demo-store-7, IP Address:10\.0\.0\.1, not for 127\.0\.0\.1/,
    });
    const expired = await contents(ca, { nowMs: Date.now() - 2 * HOUR_MS });
    await assert.rejects(call(client, await serve(secured(place("expired", expired)))), {
      code: "UNAVAILABLE",
      message: /has expired/,
    });
    const address = await serve(secured(place("server", await contents(ca))));
    await assert.rejects(call(secured(filesIn(join(root, "expired"))), address), {
      code: "UNAVAILABLE",
      message: /seems not to accept this side's certificate.*valid to/,
    });
  });

  it("dials elsewhere, while the name checked stays the logical one", async () => {
    const files = await contents(ca, { ipAddresses: [] });
    const address = await serve(secured(place("server", files)));
    const client = filesIn(join(root, "server"));
    const logical = "demo-store-0.demo-stores.ns.svc:7410";
    assert.equal(
      await call(
        secured(client, () => address),
        logical,
      ),
      "hello",
    );
    await assert.rejects(
      call(
        secured(client, () => address),
        "demo-pd.ns.svc:7400",
      ),
      {
        message: /not for demo-pd\.ns\.svc/,
      },
    );
  });

  for (const [way, replace] of [
    ["by rename", (directory: string, files: Contents) => replaceByRename(directory, files)],
    ["by the swap of a link", replaceByLink],
  ] as const) {
    it(`takes new certificates and a new CA over ${way}, under load, without a failed call`, async () => {
      const next = await newCa("next");
      const both = { bundle: ca.certPem + next.certPem };
      const directories = [join(root, "a"), join(root, "b")] as const;
      for (const directory of directories) mkdirSync(directory);
      let version = 0;
      const install = (directory: string, files: Contents): void => {
        replace(directory, files, version++);
      };
      for (const directory of directories) {
        version = 0;
        install(directory, await contents(ca));
      }
      version = 1;
      const net = secured(filesIn(directories[0]));
      const address = await serve(net);
      const client = secured(filesIn(directories[1]));

      const load = { isOver: false, calls: 0, connections: 0 };
      const longLived = client.connect(address);
      channels.push(longLived);
      const stream: RpcStream<string, string> = longLived.stream(Talk);
      const ends: unknown[] = [];
      stream.listen({ onMessage: () => undefined, onClose: (error) => ends.push(error ?? "ended") });
      const calling = Promise.all([
        (async () => {
          for (; !load.isOver; load.calls++) {
            stream.send("x");
            await longLived.unary(Echo, "x", CALL);
          }
        })(),
        (async () => {
          for (; !load.isOver; load.connections++) {
            const fresh = client.connect(address);
            await fresh.unary(Echo, "x", CALL).finally(() => fresh.close());
          }
        })(),
      ]);
      const failed = calling.then(() => assert.fail("over too early"));

      const probe = await contents(ca, both);
      const nextProbe = await contents(next, both);
      const step = async (server: Contents, other: Contents, observer: Contents): Promise<void> => {
        install(directories[0], server);
        install(directories[1], other);
        const { serial } = describeCertificate(server["tls.crt"]);
        const since = load.connections;
        await Promise.race([
          until("the new serial is shown", async () => (await shownSerial(address, observer)) === serial),
          failed,
        ]);
        await Promise.race([until("new connections", () => load.connections > since + 5), failed]);
      };
      await step(await contents(ca, both), await contents(ca, both), probe); // both CAs known
      await step(await contents(next, both), await contents(ca, both), probe); // one side goes first
      await step(await contents(next, both), await contents(next, both), nextProbe);
      await step(await contents(next), await contents(next), nextProbe); // the old CA goes
      load.isOver = true;
      failed.catch(() => undefined);
      await calling;
      assert.deepEqual(ends, [], "the stream opened before the first change still runs");
      assert(load.calls > 20, `${load.calls} calls`);
      await assert.rejects(call(secured(place("late", await contents(ca, both))), address), { code: "UNAVAILABLE" });
    });
  }

  it("keeps the certificate in force while the files are no good, and says so once", async () => {
    const first = await contents(ca);
    const files = place("server", first);
    const address = await serve(secured(files));
    const { serial } = describeCertificate(first["tls.crt"]);
    const complaints = (pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length;

    writeFileSync(files.certFile, first["tls.crt"].slice(0, 200));
    await until("a complaint", () => complaints(/tls\.crt: 0 whole PEM certificates in 1 PEM blocks.*stays/) === 1);
    writeFileSync(files.certFile, first["tls.crt"]);
    writeFileSync(files.keyFile, (await contents(ca))["tls.key"]);
    await until("a complaint", () => complaints(/tls\.key: the key does not belong to the certificate/) === 1);
    rmSync(files.caFile);
    await until("a complaint", () => complaints(/no such file/) === 1);
    assert.equal(await shownSerial(address, first), serial);
    assert.equal(await call(secured(place("client", await contents(ca))), address), "hello");

    const second = await contents(ca);
    replaceByRename(join(root, "server"), second);
    const renewed = describeCertificate(second["tls.crt"]).serial;
    await until("the new serial is shown", async () => (await shownSerial(address, second)) === renewed);
    assert.equal(
      lines.filter((line) => line.includes("stays")).length,
      new Set(lines.filter((line) => line.includes("stays"))).size,
    );
  });

  it("refuses to start with files that are absent, garbage or of two pairs, by name", async () => {
    const good = await contents(ca);
    const code = "INVALID_CONFIG";
    assert.throws(() => secured(filesIn(root)), { code, message: /ca\.crt: ENOENT/ });
    assert.throws(() => secured(place("1", { ...good, "ca.crt": "garbage" })), { code, message: /ca\.crt: 0 whole/ });
    assert.throws(() => secured(place("2", { ...good, "ca.crt": good["tls.key"] })), {
      code,
      message: /ca\.crt: 0 whole/,
    });
    assert.throws(() => secured(place("3", { ...good, "tls.key": "garbage" })), {
      code,
      message: /tls\.key: it holds no/,
    });
    const key = (await contents(ca))["tls.key"];
    assert.throws(() => secured(place("4", { ...good, "tls.key": key })), { code, message: /tls\.key: .*not belong/ });
    const broken = good["tls.crt"].replace(/\n[A-Za-z0-9+/]{64}\n/, "\n");
    assert.throws(() => secured(place("5", { ...good, "tls.crt": broken })), {
      code,
      message: /tls\.crt: certificate 1/,
    });
  });

  it("gives an attempt up that nobody answers, and finds the server at its new place", async () => {
    // It takes connections and never says a word, like a host that is there and a process that hangs; the name then leads elsewhere.
    const hung: Server = createServer((socket) => socket.unref());
    await new Promise<void>((resolve) => hung.listen(0, "127.0.0.1", resolve));
    const bound = hung.address();
    assert(typeof bound === "object" && bound !== null);
    const files = place("server", await contents(ca));
    const address = await serve(secured(files));
    let place2 = `127.0.0.1:${bound.port}`;
    const channel = secured(files, () => place2).connect("127.0.0.1:7410");
    channels.push(channel);
    const early = channel.unary(Echo, "early", { timeoutMs: 300 });
    await assert.rejects(early, { code: "DEADLINE_EXCEEDED" });
    place2 = address;
    assert.equal(await channel.unary(Echo, "late", { timeoutMs: 1_000 }), "late");
    hung.close();
    hung.unref();
  });
});
