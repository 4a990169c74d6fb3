/**
 * How gRPC's connections are secured: mutual TLS from a {@link TlsSource}, or none. gRPC's own file watcher is not used: it drops every new
 * connection while a file is unreadable or a key does not match, begins without a certificate, and allows TLS 1.2.
 * Here are also the words for what goes wrong in a handshake.
 */
import type { Socket } from "node:net";
import { isIP } from "node:net";
import * as tls from "node:tls";
import * as grpc from "@grpc/grpc-js";
import type { TlsSource } from "./tls-source.js";

/** A peer that does not finish its handshake in this time is cut off. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Servers: a client without a certificate of a known CA is cut off. New connections get the newest certificate, running ones go on. */
export class ServerSecurity extends grpc.ServerCredentials {
  readonly #release: () => void;

  constructor(source: TlsSource) {
    super(
      { requestCert: true, rejectUnauthorized: true, handshakeTimeout: HANDSHAKE_TIMEOUT_MS },
      source.material.options,
    );
    this.#release = source.retain(({ options }) => {
      this.updateSecureContextOptions(options);
    });
  }

  override _equals(other: grpc.ServerCredentials): boolean {
    return this === other;
  }

  /** Lets the source stop looking at its files. */
  release(): void {
    this.#release();
  }
}

/** How far the newest connection attempt has come. `waiting`: no TCP connection yet, or none wanted. */
type Progress = "waiting" | "handshake" | "greeting" | "established";

/** A channel's side: TLS, or plain text without a source. It knows how far the newest attempt came and why it failed. */
export class ChannelSecurity extends grpc.ChannelCredentials {
  readonly #address: string;
  readonly #host: string;
  readonly #source: TlsSource | undefined;
  readonly #release: (() => void) | undefined;
  #progress: Progress = "waiting";
  #newest: Socket | undefined;
  #cutOff: string | undefined;
  /** Connections on their way: gRPC (1.14) forgets those of a channel that is closed before it has made a session of them. */
  readonly #begun = new Set<Socket>();
  #isReleased = false;

  /** `address`: host:port as the caller named it; the server's certificate must be for this host, wherever the channel dials. */
  constructor(address: string, source: TlsSource | undefined) {
    super();
    this.#address = address;
    this.#host = address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
    this.#source = source;
    this.#release = source?.retain(() => undefined);
  }

  /** How far the newest attempt is. */
  get progress(): Progress {
    return this.#progress;
  }

  /** Why the newest attempt that reached the other side was cut off without a word, if it was. */
  get cutOff(): string | undefined {
    return this.#cutOff;
  }

  /** The channel's owner says so when gRPC reports the connection as ready. */
  established(): void {
    this.#progress = "established";
    this.#cutOff = undefined;
    if (this.#newest !== undefined) this.#begun.delete(this.#newest);
  }

  /** Ends the connections that are on their way: the client that wanted them has been closed. */
  abandon(): void {
    for (const socket of this.#begun) socket.destroy();
    this.#begun.clear();
  }

  /** Lets the source stop looking at its files. The channel is closed. */
  release(): void {
    this.#isReleased = true;
    this.abandon();
    this.#release?.();
  }

  override _isSecure(): boolean {
    return this.#source !== undefined;
  }

  override _equals(other: grpc.ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    _target: unknown,
    _options: unknown,
    callCredentials?: grpc.CallCredentials,
  ): grpc.experimental.SecureConnector {
    return {
      connect: async (socket) => {
        if (this.#isReleased) throw new Error(`the channel to ${this.#address} is closed`); // gRPC then ends the socket
        this.#newest = socket;
        this.#begun.add(socket);
        socket.once("close", () => this.#begun.delete(socket));
        this.#progress = "handshake";
        const secured = this.#source === undefined ? socket : await this.#handshake(socket, this.#source);
        this.#expectGreeting(socket, secured);
        return { socket: secured, secure: this.#source !== undefined };
      },
      waitForReady: () => {
        this.#progress = "waiting"; // a new attempt
        return Promise.resolve();
      },
      getCallCredentials: () => callCredentials ?? grpc.CallCredentials.createEmpty(),
      destroy: () => undefined,
    };
  }

  #handshake(socket: Socket, source: TlsSource): Promise<Socket> {
    const { context, identity } = source.material;
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException | undefined): void => {
        reject(new Error(this.#explain(error, identity), { cause: error }));
      };
      const secured = tls.connect(
        {
          socket,
          secureContext: context,
          host: this.#host,
          // The name indication must not be an address.
          servername: isIP(this.#host) === 0 ? this.#host : "",
          ALPNProtocols: ["h2"],
          minVersion: "TLSv1.3",
          rejectUnauthorized: true,
          checkServerIdentity: (_host, certificate) => tls.checkServerIdentity(this.#host, certificate),
        },
        () => {
          resolve(secured);
        },
      );
      // Both stay: a late error must find a listener, and a promise settles once.
      secured.on("error", fail);
      secured.on("close", () => {
        fail(undefined);
      });
    });
  }

  /** From here HTTP/2 has the socket: its server speaks first, or has refused what it saw. */
  #expectGreeting(socket: Socket, secured: Socket): void {
    if (this.#newest === socket) this.#progress = "greeting";
    secured.once("close", () => {
      if (this.#newest !== socket || this.#progress !== "greeting") return;
      this.#progress = "waiting";
      this.#cutOff =
        this.#source === undefined
          ? `${this.#address} closes plain-text connections without a word: it may want TLS (a CA, a certificate and a key)`
          : `${this.#address} closed the connection after the TLS handshake: it seems not to accept this side's certificate (${this.#source.material.identity}), which must be signed by a CA that it knows and be in date`;
    });
  }

  #explain(error: NodeJS.ErrnoException | undefined, identity: string): string {
    const code = error?.code ?? "";
    const certificate = `TLS: the certificate of ${this.#address}`;
    if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
      const names = (error as { cert?: tls.PeerCertificate }).cert?.subjectaltname ?? "no name";
      return `${certificate} is for ${names}, not for ${this.#host}: use one of these names, or have it issued for this one`;
    }
    if (code === "CERT_HAS_EXPIRED") return `${certificate} has expired: renew it there, and check both clocks`;
    if (code === "CERT_NOT_YET_VALID") return `${certificate} is not valid yet: check both clocks`;
    if (/SELF_SIGNED|UNABLE_TO|CERT_SIGNATURE|CERT_UNTRUSTED|INVALID_CA/.test(code)) {
      return `${certificate} is not signed by a CA of this side's CA file (${code}): take the cluster's CA, or check that this is the cluster meant`;
    }
    if (/INVALID_PURPOSE|UNSUPPORTED_CERTIFICATE_PURPOSE/.test(code)) {
      return `${certificate} is not one for servers (extended key usage serverAuth)`;
    }
    if (code.includes("ALERT")) {
      return `TLS: ${this.#address} refuses this side's certificate or protocol version (${code}; ${identity})`;
    }
    if (/WRONG_VERSION_NUMBER|PACKET_LENGTH|UNEXPECTED_MESSAGE|HTTP/.test(code)) {
      return `TLS: ${this.#address} answers in plain text: TLS is not in force there, or the port is another service's`;
    }
    if (error === undefined || code === "ECONNRESET" || code === "EPIPE") {
      return `TLS: ${this.#address} cut the connection during the handshake: its port may speak no TLS`;
    }
    return `TLS: the handshake with ${this.#address} failed: ${error.message}${code === "" ? "" : ` (${code})`}`;
  }
}
