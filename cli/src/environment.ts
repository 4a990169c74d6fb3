/** What `rheactl` takes from outside, so that tests run it whole without a process, a terminal or a cluster. */
import type { Readable, Writable } from "node:stream";
import type { Admin, RheaClient } from "@rhea/client";
import type { TlsFiles } from "@rhea/common";
import type { logDump, logVerify } from "./offline/index.js";

/** The offline commands, in a module of their own: loaded only for them. */
export interface OfflineCommands {
  readonly logDump: typeof logDump;
  readonly logVerify: typeof logVerify;
}

/** How to reach the cluster. */
export interface Target {
  readonly pd: readonly string[];
  /** Stores that are asked for routes while PD does not answer. */
  readonly stores: readonly string[];
  readonly clusterId: number;
  /** What secures the connections; absent: plain text. */
  readonly tls?: TlsFiles | undefined;
  /** The address to really connect to, of a tunnel; absent: the address itself. */
  readonly dial?: ((address: string) => string) | undefined;
  readonly timeoutMs: number;
}

/** See the file's header. */
export interface CliEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The root of the project that this command belongs to: its `.rhea` is looked at last. */
  readonly projectRoot: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Whether progress may be drawn on stderr. */
  readonly isTerminal: boolean;
  connect(target: Target): Promise<RheaClient>;
  connectAdmin(target: Target): Promise<Admin>;
  /** Loads the commands that look into a stopped store's directory; absent: there are none here. */
  offline?(): Promise<OfflineCommands>;
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  sleep(ms: number): Promise<void>;
}
