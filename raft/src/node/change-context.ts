/** The bytes that travel with a membership change: who its members are, as the core knows ids only. */
import { RheaError } from "@rhea/common";
import type { PeerInfo } from "./api.js";

// Form 1: version byte, count, then per peer id (8 bytes), store id (8 bytes) and role (0 voter, 1 learner).
// Form 2: version byte, flags (1: the whole configuration, by force), count, then per peer as in form 1, priority (4 bytes, signed; the lowest
// number: not said), length of the address (2 bytes) and the address. Written only where form 1 cannot say it, so that older processes read on.
const PLAIN = 1;
const FULL = 2;
const RESET = 1;
const PEER_BYTES = 17;
const FULL_PEER_BYTES = PEER_BYTES + 6;
const NO_PRIORITY = -(2 ** 31);

/** What a membership change says beside its ids. */
export interface ChangeContext {
  readonly peers: readonly PeerInfo[];
  /** The peers are the whole configuration from here on, whatever it was: a reset by force. */
  readonly isReset: boolean;
}

/** Encodes the members that a change adds or is about. */
export function encodeChangeContext(peers: readonly PeerInfo[], isReset = false): Uint8Array {
  const isPlain = !isReset && peers.every(({ priority, address }) => priority === undefined && address === undefined);
  return isPlain ? encodePlain(peers) : encodeFull(peers, isReset);
}

/**
 * Decodes what {@link encodeChangeContext} wrote; no bytes are no members.
 * @throws RheaError CORRUPTION for a malformed or VERSION_UNSUPPORTED for an unknown form.
 */
export function decodeChangeContext(context: Uint8Array): ChangeContext {
  if (context.length === 0) return { peers: [], isReset: false };
  if (context[0] === PLAIN) return { peers: decodePlain(context), isReset: false };
  if (context[0] === FULL) return { peers: decodeFull(context), isReset: ((context[1] ?? 0) & RESET) !== 0 };
  const found = context[0] ?? 0;
  throw new RheaError("VERSION_UNSUPPORTED", `a membership change has context version ${found}, known: 1 and 2`);
}

function encodePlain(peers: readonly PeerInfo[]): Uint8Array {
  const out = Buffer.alloc(2 + peers.length * PEER_BYTES);
  out[0] = PLAIN;
  out[1] = peers.length;
  peers.forEach((peer, i) => {
    writePeer(out, 2 + i * PEER_BYTES, peer);
  });
  return out;
}

function decodePlain(context: Uint8Array): PeerInfo[] {
  const count = context[1] ?? 0;
  if (context.length !== 2 + count * PEER_BYTES) throw malformed(context, count);
  const view = viewOf(context);
  return Array.from({ length: count }, (_, i) => readPeer(view, 2 + i * PEER_BYTES));
}

function encodeFull(peers: readonly PeerInfo[], isReset: boolean): Uint8Array {
  const parts: Buffer[] = [Buffer.from([FULL, isReset ? RESET : 0, peers.length])];
  for (const peer of peers) {
    const address = Buffer.from(peer.address ?? "");
    const head = Buffer.alloc(FULL_PEER_BYTES);
    writePeer(head, 0, peer);
    head.writeInt32BE(peer.priority ?? NO_PRIORITY, PEER_BYTES);
    head.writeUInt16BE(address.length, PEER_BYTES + 4);
    parts.push(head, address);
  }
  return Buffer.concat(parts);
}

function decodeFull(context: Uint8Array): PeerInfo[] {
  const count = context[2] ?? 0;
  const view = viewOf(context);
  const peers: PeerInfo[] = [];
  let at = 3;
  for (let i = 0; i < count; i++) {
    if (at + FULL_PEER_BYTES > context.length) throw malformed(context, count);
    const peer = readPeer(view, at);
    const priority = view.getInt32(at + PEER_BYTES);
    const end = at + FULL_PEER_BYTES + view.getUint16(at + PEER_BYTES + 4);
    if (end > context.length) throw malformed(context, count);
    const address = Buffer.from(context.subarray(at + FULL_PEER_BYTES, end)).toString();
    peers.push({
      ...peer,
      ...(priority === NO_PRIORITY ? {} : { priority }),
      ...(address === "" ? {} : { address }),
    });
    at = end;
  }
  if (at !== context.length) throw malformed(context, count);
  return peers;
}

function writePeer(out: Buffer, at: number, { peerId, storeId, role }: PeerInfo): void {
  writeUint(out, at, peerId);
  writeUint(out, at + 8, storeId);
  out[at + 16] = role === "voter" ? 0 : 1;
}

function readPeer(view: DataView, at: number): PeerInfo {
  const role = view.getUint8(at + 16) === 0 ? "voter" : "learner";
  return { peerId: readUint(view, at), storeId: readUint(view, at + 8), role };
}

function writeUint(out: Buffer, at: number, value: number): void {
  out.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  out.writeUInt32BE(value % 2 ** 32, at + 4);
}

function readUint(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length);
}

function malformed(context: Uint8Array, count: number): RheaError {
  return new RheaError("CORRUPTION", `a membership change names ${count} peers in ${context.length} bytes`);
}
