/** The ways to other stores: one link each, made at the first message; what a turn puts into them leaves at its end. */
import type { PeerId } from "../core/types.js";
import type { IdentityBook } from "../transport/identity.js";
import type { Outbox } from "../transport/outbox.js";
import { PeerLink } from "../transport/peer-link.js";
import type { LinkStats, RaftHostOptions } from "./api.js";

/** What the links need, and whom they tell. */
export interface LinksOptions {
  readonly host: RaftHostOptions;
  readonly identities: IdentityBook;
  /** Where a store is reached. */
  readonly resolve: (storeId: number) => string | undefined;
  /** A message of this group to this peer could not be sent. */
  readonly onDropped: (groupId: number, toPeer: PeerId) => void;
  /** A stream broke: what was sent lately may be lost. */
  readonly onBroken: (storeId: number) => void;
  /** The process at the other end is certainly gone. */
  readonly onGone: (storeId: number) => void;
  /** The process at the other end answered. */
  readonly onUp: (storeId: number) => void;
}

/** All links of a host. */
export class Links {
  readonly #options: LinksOptions;
  readonly #links = new Map<number, PeerLink>();
  readonly #touched = new Set<PeerLink>();
  #messagesSent = 0;

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  get messagesSent(): number {
    return this.#messagesSent;
  }

  stats(): LinkStats[] {
    return [...this.#links.values()].map((link) => link.stats());
  }

  /** Returns the outbox to a store; what is put into it leaves with the next flush. */
  outboxOf(storeId: number): Outbox {
    const link = this.#links.get(storeId) ?? this.#open(storeId);
    this.#touched.add(link);
    return link.outbox;
  }

  /** Sends what was put into outboxes since the last flush. */
  flush(): void {
    if (this.#touched.size === 0) return;
    for (const link of this.#touched) link.flush();
    this.#touched.clear();
  }

  /** Whether messages to a store have no way at present. */
  isDown(storeId: number): boolean {
    return this.#links.get(storeId)?.isDown ?? false;
  }

  /** A store showed signs of life: do not wait to dial it again. */
  wake(storeId: number): void {
    this.#links.get(storeId)?.wake();
  }

  close(): void {
    for (const link of this.#links.values()) link.close();
  }

  #open(storeId: number): PeerLink {
    const { host, identities, resolve, onDropped, onBroken, onGone, onUp } = this.#options;
    const { net, clock, scheduler, rng, logger } = host;
    const link = new PeerLink({
      storeId,
      identities,
      net,
      clock,
      scheduler,
      rng,
      logger,
      resolve,
      onDropped: ({ groupId = 0, toPeer = 0 }) => {
        onDropped(groupId, toPeer);
      },
      onBroken,
      onGone,
      onUp,
      onSent: (messages) => {
        this.#messagesSent += messages;
      },
    });
    this.#links.set(storeId, link);
    return link;
  }
}
