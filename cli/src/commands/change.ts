/** Commands that change regions and stores through PD: split, transfer-leader, add-peer, remove-peer, drain, ... */
import { RheaError } from "@rhea/common";
import { storeStateName, type Operation, type OperationRequest, type StoreInfo } from "@rhea/client";
import { OPERATION_HEADERS, operationJson, operationRow } from "./cluster.js";
import { print, wholeNumber, type CommandContext } from "./context.js";

const POLL_MS = 100;

/** `--no-wait` of operations. */
export interface WaitOptions {
  readonly wait?: boolean;
}

/** Asks for an operation and waits until it has ended, at most the command's timeout. */
async function change(context: CommandContext, request: OperationRequest, options: WaitOptions): Promise<void> {
  const admin = await context.admin();
  const { cli, timeoutMs } = context;
  const deadlineMs = cli.now() + timeoutMs;
  const answer = await admin.addOperation({ ...request, origin: "user", reason: `rheactl ${request.kind}` });
  let operation: Operation | undefined = answer.operation ?? undefined;
  if (operation === undefined) {
    await print(context, { alreadyDone: answer.alreadyDone }, ["STATE"], [["already done"]]);
    return;
  }
  const { operationId } = operation;
  while (options.wait !== false && operation?.state === "running" && cli.now() < deadlineMs) {
    await cli.sleep(POLL_MS);
    [operation] = await admin.operations({ operationId, includeFinished: true });
  }
  if (operation === undefined) {
    throw new RheaError("NOT_FOUND", `operation ${operationId}: PD does not remember it any more, see rheactl regions`);
  }
  await print(context, operationJson(operation), OPERATION_HEADERS, [operationRow(operation)]);
  if (operation.state !== "running" && operation.state !== "succeeded") {
    throw new RheaError("OPERATION_REFUSED", `operation ${operationId} ended ${operation.state}: ${operation.message}`);
  }
  if (operation.state === "running" && options.wait !== false) {
    cli.stderr.write(`operation ${operationId} goes on: see rheactl operations\n`);
  }
}

/** `split REGION [--key KEY]`; without a region the one that holds the key. */
export async function split(
  context: CommandContext,
  region: string | undefined,
  options: WaitOptions & { readonly key?: string },
): Promise<void> {
  let regionId: number;
  if (region !== undefined) {
    regionId = wholeNumber(region, "region");
  } else {
    if (options.key === undefined) throw new RheaError("INVALID_ARGUMENT", "split: a region or --key is needed");
    const admin = await context.admin();
    const { routes } = await admin.regions({ startKey: options.key, limit: 1 });
    const found = routes[0]?.region?.regionId;
    if (found === undefined) throw new RheaError("NOT_FOUND", `key ${JSON.stringify(options.key)}: no region holds it`);
    regionId = found;
  }
  await change(context, { kind: "split", regionId, splitKey: options.key }, options);
}

/** `transfer-leader REGION STORE`. */
export async function transferLeader(
  context: CommandContext,
  region: string,
  store: string,
  options: WaitOptions,
): Promise<void> {
  const request = { regionId: wholeNumber(region, "region"), storeId: wholeNumber(store, "store") };
  await change(context, { kind: "transfer-leader", ...request }, options);
}

/** `add-peer REGION STORE`. */
export async function addPeer(
  context: CommandContext,
  region: string,
  store: string,
  options: WaitOptions,
): Promise<void> {
  const request = { regionId: wholeNumber(region, "region"), storeId: wholeNumber(store, "store") };
  await change(context, { kind: "add-peer", ...request }, options);
}

/** `remove-peer REGION STORE`, or `--peer`. */
export async function removePeer(
  context: CommandContext,
  region: string,
  store: string | undefined,
  options: WaitOptions & { readonly peer?: string },
): Promise<void> {
  if ((store === undefined) === (options.peer === undefined)) {
    throw new RheaError("INVALID_ARGUMENT", "remove-peer: either a store or --peer is needed");
  }
  const request: OperationRequest = {
    kind: "remove-peer",
    regionId: wholeNumber(region, "region"),
    storeId: store === undefined ? undefined : wholeNumber(store, "store"),
    peerId: options.peer === undefined ? undefined : wholeNumber(options.peer, "--peer"),
  };
  await change(context, request, options);
}

async function printStore(context: CommandContext, info: StoreInfo): Promise<void> {
  const state = storeStateName(info.store?.state ?? 0);
  const storeId = info.store?.storeId ?? 0;
  const json = {
    storeId,
    state,
    regionCount: info.regionCount,
    drainedRatio: info.drainedRatio,
    drainBlocked: info.drainBlocked,
  };
  await print(
    context,
    json,
    ["ID", "STATE", "REGIONS", "BLOCKED"],
    [[storeId, state, info.regionCount, info.drainBlocked]],
  );
}

/** `drain STORE`: moves all regions off it; see `stores` for progress. */
export async function drain(context: CommandContext, store: string): Promise<void> {
  const storeId = wholeNumber(store, "store");
  await printStore(context, await (await context.admin()).drainStore(storeId, { origin: "user" }));
}

/** `cancel-drain STORE`. */
export async function cancelDrain(context: CommandContext, store: string): Promise<void> {
  const storeId = wholeNumber(store, "store");
  await printStore(context, await (await context.admin()).cancelDrain(storeId, { origin: "user" }));
}

/** `cancel-operation ID`. */
export async function cancelOperation(context: CommandContext, id: string): Promise<void> {
  const operationId = wholeNumber(id, "operation");
  const operation = await (await context.admin()).cancelOperation(operationId, { origin: "user" });
  if (operation === null) throw new RheaError("NOT_FOUND", `operation ${operationId}: PD does not know it`);
  await print(context, operationJson(operation), OPERATION_HEADERS, [operationRow(operation)]);
}
