/** When and from where the other peers of a group were heard of last. */
import type { PeerId } from "../core/types.js";
import type { HostLimits } from "./api.js";
import type { MemberList } from "./membership.js";
import type { QuietSlot } from "./quiet-slot.js";

/** The host's time. */
export interface HostTime {
  readonly tick: number;
  /** Monotonic. */
  readonly nowMs: number;
  readonly limits: HostLimits;
}

interface Contact {
  storeId: number;
  /** Monotonic. */
  heardMs: number;
}

/** Knows where peers are: by their own messages, else by the membership. */
export class Contacts {
  readonly #members: MemberList;
  readonly #quiet: QuietSlot;
  readonly #time: HostTime;
  readonly #byPeer = new Map<PeerId, Contact>();

  constructor(members: MemberList, quiet: QuietSlot, time: HostTime) {
    this.#members = members;
    this.#quiet = quiet;
    this.#time = time;
  }

  hear(peerId: PeerId, storeId: number, nowMs: number): void {
    const contact = this.#byPeer.get(peerId);
    if (contact === undefined) this.#byPeer.set(peerId, { storeId, heardMs: nowMs });
    else {
      contact.heardMs = nowMs;
      contact.storeId = storeId;
    }
  }

  hasHeard(peerId: PeerId): boolean {
    return this.#byPeer.has(peerId);
  }

  /** Monotonic ms of the last message, or of the last digest that spoke for the peer; -Infinity if there was none. */
  heardMs(peerId: PeerId): number {
    const { tick, nowMs, limits } = this.#time;
    const restingMs = nowMs - (tick - this.#quiet.heardTick(peerId)) * limits.tickMs;
    return Math.max(this.#byPeer.get(peerId)?.heardMs ?? -Infinity, restingMs);
  }

  /** Keeps what digests have said, as the group's rest ends. */
  endRest(): void {
    for (const [peerId, contact] of this.#byPeer) contact.heardMs = this.heardMs(peerId);
  }

  /** The store of a peer; 0 if unknown. */
  storeOf(peerId: PeerId): number {
    return this.#byPeer.get(peerId)?.storeId ?? this.#members.get(peerId)?.storeId ?? 0;
  }
}
