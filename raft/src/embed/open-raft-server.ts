/** An embedded server from its directory to serving, on any environment; closes in reverse order. */
import { RheaError, type RpcServer } from "@rhea/common";
import { claimIdentity, createIdentity, readIdentity, type IdentityDirectories } from "../identity/identity.js";
import { watchIdentity } from "../identity/identity-watch.js";
import { openLog } from "../log/index.js";
import { createRaftHost } from "../node/index.js";
import type { RaftServer, RaftServerEnvironment, RaftServerOptions } from "./api.js";
import { ServedGroups } from "./served-groups.js";
import type { Settings } from "./settings.js";

const FEATURE_LEVEL = 1;
const SERVER_GRACE_MS = 200;
const DEFAULT_ELECTION_MS = 800;

/**
 * Starts a server in directories that the caller has made and locked; `unlock` is called at its end, also if it does not start. Resolves once it
 * serves and all snapshots are loaded.
 */
export async function openRaftServer(
  settings: Settings,
  options: RaftServerOptions,
  env: RaftServerEnvironment,
  unlock: () => Promise<void>,
): Promise<RaftServer> {
  const { storeId, address, dataDirectory, logDirectory } = settings;
  const { disk, net, clock, scheduler, rng, logger } = env;
  const places: IdentityDirectories = { disk, dataDirectory, logDirectory };
  let failure: RheaError | undefined;
  const fatal = (error: RheaError): void => {
    if (failure !== undefined) return;
    failure = error;
    logger.log("error", "the raft server stops", { code: error.code, why: error.message });
    if (options.onFatal !== undefined) options.onFatal(error);
    else {
      scheduler.nextTurn(() => {
        throw error;
      });
    }
  };
  const closers: (() => Promise<void> | void)[] = [unlock];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const { incarnation, previousIncarnation, uuid } = await claim(places, settings, env);
    const watch = watchIdentity(
      places,
      { clusterId: settings.clusterId, storeId, name: address, uuid, incarnation },
      scheduler,
      fatal,
    );
    closers.push(() => watch.close());
    const log = await openLog({
      disk,
      directory: logDirectory,
      clock,
      logger,
      incarnation,
      onFailed: fatal,
      ...(options.sync === undefined ? {} : { sync: options.sync }),
      ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
      ...(options.cacheBytes === undefined ? {} : { cacheBytes: options.cacheBytes }),
    });
    // A disk that failed is not written again, not even to say that the log was closed.
    closers.push(async () => {
      if (failure?.code !== "DISK_FAILED") await log.close();
    });
    const foreign = whyForeign(log.newestIncarnation, previousIncarnation, logDirectory);
    if (foreign !== undefined) throw foreign;
    const { tickMs = 100, electionTicks = DEFAULT_ELECTION_MS / 100 } = options.limits ?? {};
    const electionMs = tickMs * electionTicks;
    const groups = new ServedGroups({
      ...{ settings, disk, scheduler, logger, log },
      farewellMs: electionMs,
      onFatal: fatal,
    });
    const host = createRaftHost({
      ...{ clusterId: settings.clusterId, storeId, incarnation, address },
      ...{ log, disk, net, clock, scheduler, rng, logger },
      bootNonce: rng.bytes(16),
      featureLevel: FEATURE_LEVEL,
      snapshotDirectory: `${dataDirectory}/staging`,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.readOnly === undefined ? {} : { readOnly: options.readOnly }),
      onUnknownPeer: (message) => {
        groups.onUnknownPeer(message);
      },
      // Somebody has a newer peer on this store in its configuration: the one here missed its own removal.
      onNewerPeer: ({ groupId }) => {
        groups.onRemoved(groupId);
      },
      onRemoved: (groupId) => {
        groups.onRemoved(groupId);
      },
      onReplicatorStateChange: (change) => options.onReplicatorStateChange?.(change),
      onFatal: fatal,
    });
    closers.push(() => host.close());
    await groups.start(host);

    const server: RpcServer = options.server ?? net.createServer();
    const raft: RaftServer = {
      storeId,
      address,
      host,
      node: (groupId) => groups.node(groupId),
      logStats: () => log.stats(),
      describe: () => host.describe(),
      close: async () => {
        if (failure === undefined) await host.transferAllLeaders(2 * electionMs);
        await closeAll();
      },
    };
    host.addServices(server, { cli: options.disableCli !== true });
    options.addServices?.(server, raft);
    host.start();
    if (options.server === undefined) {
      closers.push(() => server.close(SERVER_GRACE_MS));
      await server.listen(settings.listen);
    }
    // What a group fails with is the group's: its node says so.
    await Promise.allSettled([...host.groups()].map((node) => node.started()));
    return raft;
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function claim(places: IdentityDirectories, settings: Settings, { rng }: RaftServerEnvironment) {
  const { disk, dataDirectory, logDirectory } = places;
  const { clusterId, storeId, address } = settings;
  if ((await readIdentity(places)) === undefined) {
    const left = await disk.list(logDirectory);
    if (left.length > 0) {
      const why = `${logDirectory} holds a log (${left[0] ?? ""}), but neither it nor ${dataDirectory} says whose it is`;
      throw new RheaError("DISK_LOST", `${why}: name both directories of the process, or an empty one and \`join\``);
    }
    const uuid = rng.bytes(16).toString("hex");
    await createIdentity(places, { clusterId, storeId, name: address, uuid });
  }
  const identity = await claimIdentity(places);
  if (identity.clusterId !== clusterId) {
    throw new RheaError("CLUSTER_MISMATCH", `${dataDirectory} is of cluster ${identity.clusterId}, not ${clusterId}`);
  }
  if (identity.name !== address) {
    const advice = "a process keeps its address; to move it, add a new one there and remove this one's peer";
    throw new RheaError("INVALID_CONFIG", `${dataDirectory} is of ${identity.name}, not ${address}: ${advice}`);
  }
  return identity;
}

function whyForeign(logKnows: number, dataKnow: number, logDirectory: string): RheaError | undefined {
  if (logKnows <= dataKnow) return undefined;
  const lives = `incarnation ${logKnows}, the data know only ${dataKnow}`;
  return new RheaError("DISK_LOST", `${logDirectory}: the log was written by ${lives}: one of them is an older image`);
}
