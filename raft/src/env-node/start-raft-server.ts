/** The one call for embedders: a process of raft groups on Node. */
import { silentLogger, type Logger, type Net, type TlsFiles } from "@rhea/common";
import { grpcNet, nodeClock, nodeDisk, nodeRng, nodeScheduler } from "@rhea/common/env-node";
import type { RaftServer, RaftServerOptions } from "../embed/api.js";
import { openRaftServer } from "../embed/open-raft-server.js";
import { resolveSettings } from "../embed/settings.js";
import { lockDirectory } from "./directory-lock.js";

/** {@link RaftServerOptions}, and what concerns Node. */
export interface NodeRaftServerOptions extends RaftServerOptions {
  /** Default: silence. `createLogger` of `@rhea/common/env-node` writes lines on standard error. */
  readonly logger?: Logger;
  /** Mutual TLS for all connections, of the server made here too. Default: plain text. */
  readonly tls?: TlsFiles;
  /** The network to use, if the application has one already; `tls` is its own business then. */
  readonly net?: Net;
}

/**
 * Starts raft in this process: makes and locks the directory, opens the log, starts its groups anew or goes on from what the directory holds, and
 * serves them. A process that was killed calls it again with the same options, and no acknowledged entry is lost. Resolves once it serves; leaders
 * are elected afterwards.
 *
 * @throws RheaError INVALID_CONFIG for options that make no sense or do not fit the directory; LOCKED if another process uses it; DISK_LOST if
 * a part of it is missing or older than the rest; CORRUPTION, DISK_FAILED; UNAVAILABLE if the address is taken.
 */
export async function startRaftServer(options: NodeRaftServerOptions): Promise<RaftServer> {
  const { logger = silentLogger, tls } = options;
  const settings = resolveSettings(options);
  await nodeDisk.mkdir(settings.dataDirectory);
  await nodeDisk.mkdir(settings.logDirectory);
  // Before the lock: files of certificates that are no good leave nothing behind.
  const net = options.net ?? grpcNet({ tls, logger });
  const lock = await lockDirectory(settings.dataDirectory);
  const env = { clock: nodeClock, scheduler: nodeScheduler, rng: nodeRng, disk: nodeDisk, net, logger };
  return openRaftServer(settings, options, env, () => lock.release());
}
