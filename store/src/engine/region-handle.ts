/** A region as code of the same process uses it: promises instead of a client's stream. */
import { RheaError, toLatin1, errorFromWire } from "@rhea/common";
import {
  Command,
  CommandKind,
  CommandResult,
  Read,
  type CommandInit,
  type ReadInit,
  type ReadResult,
  type ReadResultInit,
} from "@rhea/proto";
import { DATA } from "../format/keys.js";
import { notLeaderError } from "../region/epoch-errors.js";
import { readValue, scanPage } from "../region/reads.js";
import type { Region } from "../region/region.js";
import type { ReplySink } from "../region/reply-sink.js";
import type { RegionHandle } from "./api.js";

/** Makes the handle of a region; it stays valid (and answers REGION_NOT_FOUND) after the region is gone. */
export function createRegionHandle(region: Region): RegionHandle {
  return {
    regionId: region.regionId,
    peerId: region.peerId,
    get state() {
      return region.fault === undefined ? region.state : "error";
    },
    get descriptor() {
      return region.descriptor;
    },
    get isLeader() {
      return region.isLeader;
    },
    get term() {
      return region.node?.term ?? 0;
    },
    get leader() {
      return region.leader;
    },
    get appliedIndex() {
      return region.appliedIndex;
    },
    execute: (command) => execute(region, command),
    read: (read) => readOnce(region, read),
    getLocal: (key) => readValue(region, DATA, key),
    scanLocal: async (start, end, limit) => {
      const range = { start: toLatin1(start), end: toLatin1(end) };
      const page = { maxRows: limit, maxBytes: Number.MAX_SAFE_INTEGER, isReverse: false, keysOnly: false };
      return (await scanPage(region, { ...range, ...page })).rows;
    },
    // Who asks has watched the peer catch up, or knows that it need not.
    addPeer: (peer) => onNode(region, (node) => node.addPeer(peer, { withoutCatchUp: true })),
    removePeer: (peerId) => onNode(region, (node) => node.removePeer(peerId)),
    transferLeadershipTo: (peerId) => onNode(region, (node) => node.transferLeadershipTo(peerId)),
    split: async (splitKey, childRegionId, childPeerIds) => {
      await execute(region, { kind: CommandKind.CMD_SPLIT, split: { splitKey, childRegionId, childPeerIds } });
    },
  };
}

async function onNode(region: Region, run: (node: ReturnType<Region["requireNode"]>) => Promise<void>): Promise<void> {
  if (!region.isLeader) throw notLeaderError(region);
  await run(region.requireNode());
}

async function execute(region: Region, init: CommandInit): Promise<CommandResult> {
  const bytes = Command.encode(init).finish();
  const command = Command.decode(bytes);
  const encoded = await new Promise<Uint8Array>((resolve, reject) => {
    region.proposals.submit({ id: 0, sink: sinkOf({ command: resolve, error: reject }), command, bytes }, undefined);
  });
  const result = CommandResult.decode(encoded);
  if (result.error !== null) throw errorFromWire(result.error);
  return result;
}

async function readOnce(region: Region, init: ReadInit): Promise<ReadResult> {
  const read = Read.decode(Read.encode(init).finish());
  const result = await new Promise<ReadResultInit>((resolve, reject) => {
    region.reads.submit({ id: 0, sink: sinkOf({ read: resolve, error: reject }), read, epoch: undefined });
  });
  return {
    value: result.value ?? null,
    exists: result.exists ?? false,
    entries: (result.entries ?? []).map(({ key, value }) => ({
      key: key ?? Buffer.alloc(0),
      value: value ?? Buffer.alloc(0),
      expect: null,
    })),
    more: result.more ?? false,
    sequence: result.sequence ?? 0,
  };
}

function sinkOf(outcome: {
  readonly command?: (result: Uint8Array) => void;
  readonly read?: (result: ReadResultInit) => void;
  readonly error: (error: RheaError) => void;
}): ReplySink {
  const unexpected = (): void =>
    outcome.error(new RheaError("INTERNAL", "an operation was answered with another kind's result"));
  return {
    command: (_id, result) => (outcome.command === undefined ? unexpected() : outcome.command(result)),
    read: (_id, result) => (outcome.read === undefined ? unexpected() : outcome.read(result)),
    error: (_id, error) => outcome.error(error),
  };
}
