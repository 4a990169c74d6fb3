/** Operations through the API: the CliService that goes by PD. */
import { RheaError, toLatin1 } from "@rhea/common";
import type {
  AddOperationRequest,
  AddOperationResponseInit,
  CancelOperationRequest,
  ListOperationsRequest,
  ListOperationsResponseInit,
} from "@rhea/proto";
import { isRequestedKind, operationToProto, PRIORITY, type OperationView } from "../operations/index.js";
import { isSameRequest, planRequest, type OperationRequest } from "../schedule/index.js";
import { requireCluster } from "./cluster-api.js";
import type { Coordinator } from "./coordinator.js";

const DEFAULT_LIST = 1000;
/** Ids that one operation needs at most: itself, a child region and its peers. */
const IDS_AT_HAND = 32;

/** Makes an operation. Idempotent: the same request while it runs answers with it, and what is done already with `alreadyDone`. */
export async function addOperation(
  coordinator: Coordinator,
  message: AddOperationRequest,
): Promise<AddOperationResponseInit> {
  requireCluster(message.header, coordinator.clusterId, { mayBeAny: true });
  const request = parseRequest(message);
  await coordinator.ids.ensure(IDS_AT_HAND);
  const nowMs = coordinator.nowMs();
  const { operations, planner } = coordinator;
  const running = operations.of(request.regionId);
  if (running?.priority === PRIORITY.requested && isSameRequest(request, running)) {
    return { operation: operationToProto(running, nowMs) };
  }
  const outcome = planRequest(request, planner.context(nowMs));
  if (outcome.kind === "done")
    return { operation: doneOperation(request, outcome.fact, coordinator, nowMs), alreadyDone: true };
  const added = operations.add(outcome.proposal, nowMs);
  if (added.kind === "refused") {
    throw new RheaError("CONF_CHANGE_BUSY", `region ${request.regionId}: ${added.reason}: wait for it or cancel it`, {
      details: { regionId: request.regionId },
    });
  }
  coordinator.dispatch(request.regionId);
  await coordinator.writeBehind.flush();
  return { operation: operationToProto(added.operation, nowMs) };
}

function parseRequest(message: AddOperationRequest): OperationRequest {
  const { kind, regionId, storeId, fromStoreId, peerId, reason } = message;
  const origin = message.origin === "" ? "user" : message.origin;
  if (origin !== "operator" && origin !== "user") {
    throw new RheaError("INVALID_ARGUMENT", `AddOperation: origin is ${origin}, allowed: operator or user`);
  }
  if (!isRequestedKind(kind)) {
    throw new RheaError(
      "INVALID_ARGUMENT",
      `AddOperation: kind is ${kind}, allowed: add-peer, remove-peer, replace-peer, transfer-leader or split`,
    );
  }
  return { kind, regionId, storeId, fromStoreId, peerId, splitKey: toLatin1(message.splitKey), origin, reason };
}

/** The finished operation that did it, or one that never had to run. */
function doneOperation(request: OperationRequest, fact: string, { operations, cluster }: Coordinator, nowMs: number) {
  const earlier = operations
    .finished()
    .find(
      (operation) =>
        operation.regionId === request.regionId && operation.state === "succeeded" && isSameRequest(request, operation),
    );
  if (earlier !== undefined) return operationToProto(earlier, nowMs);
  const region = cluster.regions.get(request.regionId);
  return {
    operationId: 0,
    regionId: request.regionId,
    kind: request.kind,
    origin: request.origin,
    reason: request.reason,
    state: "succeeded",
    message: `nothing to do: ${fact}`,
    epoch: { confVer: region?.confVer ?? 0, version: region?.version ?? 0 },
  };
}

/** Lists running operations, and finished ones (newest first) if asked for. */
export function listOperations(coordinator: Coordinator, request: ListOperationsRequest): ListOperationsResponseInit {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const nowMs = coordinator.nowMs();
  const { operations } = coordinator;
  const isWanted = (operation: OperationView) =>
    (request.regionId === 0 || operation.regionId === request.regionId) &&
    (request.operationId === 0 || operation.operationId === request.operationId);
  const all = [...operations.running(), ...(request.includeFinished ? operations.finished() : [])].filter(isWanted);
  const limit = request.limit === 0 ? DEFAULT_LIST : request.limit;
  return { operations: all.slice(0, limit).map((operation) => operationToProto(operation, nowMs)) };
}

/** Cancels a running operation; what it has changed stays and is judged by the checkers. A finished one is answered as it ended. */
export function cancelOperation(coordinator: Coordinator, request: CancelOperationRequest): AddOperationResponseInit {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  const { operations } = coordinator;
  const nowMs = coordinator.nowMs();
  const { operationId } = request;
  const wasRunning = operations.cancel(operationId, `by ${request.origin === "" ? "user" : request.origin}`, nowMs);
  const operation = operations.finished().find((finished) => finished.operationId === operationId);
  if (operation === undefined)
    throw new RheaError("NOT_FOUND", `operation ${operationId} is neither running nor among the last finished`);
  return { operation: operationToProto(operation, nowMs), alreadyDone: !wasRunning };
}
