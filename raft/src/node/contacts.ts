/** When and from where the other peers of a group were heard of last. */
import type { PeerId } from "../core/types.js";
import type { MemberList } from "./membership.js";

interface Contact {
  storeId: number;
  /** Monotonic. */
  heardMs: number;
}

/** Knows where peers are: by their own messages, else by the membership. */
export class Contacts {
  readonly #members: MemberList;
  readonly #byPeer = new Map<PeerId, Contact>();

  constructor(members: MemberList) {
    this.#members = members;
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

  /** Monotonic ms of the last message; -Infinity if there was none. */
  heardMs(peerId: PeerId): number {
    return this.#byPeer.get(peerId)?.heardMs ?? -Infinity;
  }

  /** The store of a peer; 0 if unknown. */
  storeOf(peerId: PeerId): number {
    return this.#byPeer.get(peerId)?.storeId ?? this.#members.get(peerId)?.storeId ?? 0;
  }
}
