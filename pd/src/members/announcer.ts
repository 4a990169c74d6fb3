/**
 * Tells the other members where this one is: at its start, while the records say otherwise, and while it hears no leader, so that members
 * whose addresses changed find each other. The answers tell where the others are, or that this member was removed.
 */
import { RheaError, type Net } from "@rhea/common";
import { PdMethods, type AnnounceMemberRequestInit } from "@rhea/proto";
import type { MemberBook } from "./member-book.js";
import { memberFromProto } from "./member.js";

const CALL_MS = 2_000;

/** What an announcer needs. */
export interface AnnouncerOptions {
  readonly net: Net;
  readonly book: MemberBook;
  /** Further places to look for members. */
  readonly join: readonly string[];
  /** The words, with the present address. */
  readonly request: () => AnnounceMemberRequestInit;
  /** This member is not wanted any more, or too old: the process must stop. */
  readonly onRefused: (error: RheaError) => void;
}

/** The announcer. One round at a time. */
export class Announcer {
  readonly #options: AnnouncerOptions;
  #isRunning = false;
  #isClosed = false;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  /** Starts a round unless one is under way. */
  announce(): void {
    if (this.#isRunning || this.#isClosed) return;
    this.#isRunning = true;
    const { book, join, request } = this.#options;
    const own = request();
    const known = book
      .all()
      .flatMap(({ memberId }) => (memberId === own.memberId ? [] : (book.resolve(memberId) ?? [])));
    const places = new Set([...known, ...join].filter((address) => address !== own.address));
    const round = [...places].map((address) => this.#tell(address, own));
    void Promise.all(round).then(() => (this.#isRunning = false));
  }

  close(): void {
    this.#isClosed = true;
  }

  async #tell(address: string, request: AnnounceMemberRequestInit): Promise<void> {
    const { net, book, onRefused } = this.#options;
    const channel = net.connect(address);
    try {
      const { members } = await channel.unary(PdMethods.AnnounceMember, request, { timeoutMs: CALL_MS });
      if (!this.#isClosed) book.learn(members.map(memberFromProto));
    } catch (thrown) {
      const error = RheaError.from(thrown);
      // Unreachable members hear of it in a later round.
      if (!this.#isClosed && isFinal(error)) onRefused(error);
    } finally {
      channel.close();
    }
  }
}

/**
 * Whether this process must not go on. A call that the other side does not know yet (an older version) reads as VERSION_UNSUPPORTED too, and
 * an address that another cluster got as CLUSTER_MISMATCH: both only mean that nobody listens there.
 */
function isFinal(error: RheaError): boolean {
  return (
    error.code === "STALE_IDENTITY" || (error.code === "VERSION_UNSUPPORTED" && error.message.includes("feature level"))
  );
}
