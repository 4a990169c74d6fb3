/**
 * Is a leader's right to answer reads by itself for a while: counted from when it began a round of heartbeats that a quorum answered,
 * because none of those that answered votes for anybody else within an election timeout of it (thesis 6.4.1). Times are ticks of the
 * leader's own count. Rounds carry the numbers of `ReadOnlyQueue`.
 */
export class Lease {
  readonly #ticks: number;
  /** Is the rounds begun and not answered yet, at most one a tick: numbers and ticks, both ascending. */
  #rounds: number[] = [];
  #begun: number[] = [];
  #until = 0;

  /**
   * Derives the length from the election timeout of the voters. They count ticks of their own: the first may come right after the
   * heartbeat, and clocks may differ by a tenth.
   */
  constructor(electionTick: number) {
    this.#ticks = electionTick - 1 - Math.floor(electionTick / 10);
  }

  isHeld(now: number): boolean {
    return now < this.#until;
  }

  /** Notes that round `round` begins. */
  begin(round: number, now: number): void {
    // A later round of one tick proves no more than its first.
    if (this.#begun.at(-1) === now) return;
    this.#rounds.push(round);
    this.#begun.push(now);
  }

  /** Notes that a quorum has answered `round`, and with it all rounds before. */
  confirm(round: number): void {
    let answered = 0;
    while (answered < this.#rounds.length && (this.#rounds[answered] as number) <= round) answered++;
    if (answered === 0) return;
    this.#until = (this.#begun[answered - 1] as number) + this.#ticks;
    this.#rounds.splice(0, answered);
    this.#begun.splice(0, answered);
  }

  /** Ends the lease, and forgets the rounds under way: none begun so far may renew it. */
  void(): void {
    this.#until = 0;
    this.#rounds = [];
    this.#begun = [];
  }
}
