/** One operator: the real leader election, controller, informers, plan and executor, on virtual time and connections that can fail. It can be killed between any two writes. */
import { InvariantError, type Logger } from "@rhea/common";
import { RESOURCES } from "../../../kube/index.js";
import { startOperator as startRealOperator } from "../../kubernetes/index.js";
import { healthyConnection, type ConnectionFaults } from "../api-server/client-faults.js";
import { createSimulatedClient, type CallInfo, type SimulatedClient } from "../api-server/simulated-client.js";
import { createSimulatedAdmin, type PdFaults } from "../placement/admin.js";
import { bendAdmin, bendClient, type Mutation } from "./mutation.js";
import { createRandom } from "./random.js";
import { createProcessTime, type ProcessTime } from "./virtual-time.js";
import { SYSTEM } from "./names.js";
import type { World } from "./world.js";

/** Field manager of the operator. */
export const MANAGER = "rhea-operator";
/** Image of pods whose cluster names none. */
export const DEFAULT_IMAGE = "rhea:1.0";

const noTls = (): never => {
  throw new InvariantError("the clusters of simulated worlds have no TLS");
};
const NO_CERTIFICATES = { plan: noTls, makeSecret: noTls };

/** A write, for counting and for the story. */
export interface Write {
  readonly what: string;
  readonly resource: string;
}

/** An operator that runs. */
export interface OperatorProcess {
  readonly id: number;
  readonly process: ProcessTime;
  readonly client: SimulatedClient;
  readonly faults: ConnectionFaults;
  readonly pdFaults: PdFaults;
  /** Counts down with each write; at 0 the process is killed, before or after it. */
  killIn: { writes: number; stage: "before" | "after" } | undefined;
  /** The last write that the API server or PD has done. */
  lastWrite: Write | undefined;
  /** Changes asked of PD. */
  pdChanges: number;
  isLeader(): boolean;
  kill(): void;
}

/** Starts an operator. `onWrite` hears what it has done. */
export function startOperator(
  world: World,
  id: number,
  mutation: Mutation | undefined,
  onWrite: (operator: OperatorProcess, write: Write) => void,
): OperatorProcess {
  const { time, server } = world;
  const random = createRandom(world.random.int(2 ** 31));
  const process = createProcessTime(time);
  const { clock, scheduler } = process;
  const faults = healthyConnection();
  const pdFaults: PdFaults = { latencyMs: [1, 10], failureRate: 0, isPartitioned: false };
  const kill = (why: string): void => {
    if (!process.isAlive) return;
    process.kill();
    client.endWatches("silent");
    world.tell(`operator ${id}: killed ${why}`);
  };
  const step = (write: Write, stage: "before" | "after"): void => {
    if (stage === "after") {
      operator.lastWrite = write;
      if (!BOOKKEEPING.has(write.resource)) world.tell(`operator ${id}: ${write.what}`);
      onWrite(operator, write);
    }
    const { killIn } = operator;
    if (killIn === undefined || write.resource === "leases" || write.resource === "events") return;
    if (stage === "before") killIn.writes--;
    if (killIn.writes !== 0 || killIn.stage !== stage) return;
    world.sometimes("killed by its own write");
    world.sometimes(`killed ${stage} ${write.what.replace(/ns\/.*|[0-9].*/, "").trim()}`);
    kill(`${stage} ${write.what}`);
  };
  const onCall = ({ verb, resource, path, isWrite }: CallInfo, stage: "before" | "after", outcome?: Error): void => {
    if (!isWrite) return;
    if (outcome === undefined) step({ what: `${verb} ${resource} ${path}`, resource }, stage);
    else if (world.isTracing) world.tell(`operator ${id}: ${verb} ${resource} ${path} refused: ${outcome.message}`);
  };
  const client = createSimulatedClient({
    ...{ server, time, random, process, faults, fieldManager: MANAGER, onCall },
  });
  const admin = createSimulatedAdmin({
    ...{ placement: world.placement, time, random, process, faults: pdFaults },
    onCall: (what, stage) => {
      if (stage === "after") operator.pdChanges++;
      step({ what: `PD ${what}`, resource: "pd" }, stage);
    },
  });
  const logger: Logger = {
    isEnabled: (level) => world.isTracing && level !== "debug",
    log: (level, message, fields) => {
      if (world.isTracing && level !== "debug")
        world.tell(`operator ${id}: ${level}: ${message} ${JSON.stringify(fields ?? {})}`);
      if (fields?.["code"] === "INTERNAL")
        world.violation(`operator ${id} logs a bug: ${message} ${JSON.stringify(fields)}`);
    },
    child: () => logger,
  };
  const bent = bendClient(client, mutation);
  const started = startRealOperator({
    ...{ client: bent, clock, scheduler, rng: random, logger, identity: `operator-${id}` },
    connectPd: () => bendAdmin(admin, client, mutation),
    certificates: NO_CERTIFICATES,
    settings: { defaultImage: DEFAULT_IMAGE },
    leaderElection: { namespace: SYSTEM, name: "rhea-operator" },
  });
  const operator: OperatorProcess = {
    ...{ id, process, client, faults, pdFaults, killIn: undefined, lastWrite: undefined, pdChanges: 0 },
    isLeader: () => process.isAlive && started.isLeader(),
    kill: () => kill("from outside"),
  };
  return operator;
}

/** Resources whose writes are not part of reconciling. */
export const BOOKKEEPING: ReadonlySet<string> = new Set([RESOURCES.leases.plural, RESOURCES.events.plural]);
