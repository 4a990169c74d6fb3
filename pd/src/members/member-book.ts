/**
 * Where PD's members are, as far as this process knows: from the metadata's records, from other members' words, and from the file in which
 * it keeps both, so that a restart finds the others without a leader.
 */
import { readWholeFile, replaceFile, type Disk, type Logger } from "@rhea/common";
import type { MemberView } from "./member.js";

const FILE = "members.json";

/** Where a book keeps itself; absent: in memory only (tests). */
export interface MemberBookPlace {
  readonly disk: Disk;
  readonly directory: string;
}

/** The book. Of two words about a member that of its later start counts; `removed` is final. */
export class MemberBook {
  readonly #logger: Logger;
  readonly #place: MemberBookPlace | undefined;
  readonly #members = new Map<number, MemberView>();
  #isDirty = false;
  #saving: Promise<void> = Promise.resolve();

  constructor(logger: Logger, place?: MemberBookPlace) {
    this.#logger = logger;
    this.#place = place;
  }

  /** Reads what an earlier process kept; a missing or damaged file only means that somebody has to tell again. */
  async load(): Promise<void> {
    if (this.#place === undefined) return;
    const { disk, directory } = this.#place;
    const path = `${directory}/${FILE}`;
    if ((await disk.stat(path)) === undefined) return;
    try {
      const members = JSON.parse((await readWholeFile(disk, path)).toString()) as MemberView[];
      for (const member of members) this.#members.set(member.memberId, member);
    } catch (error) {
      this.#logger.log("warn", "the kept list of PD's members is unreadable", { error: String(error) });
    }
  }

  /** All members ever heard of, removed ones too. */
  all(): readonly MemberView[] {
    return [...this.#members.values()];
  }

  get(memberId: number): MemberView | undefined {
    return this.#members.get(memberId);
  }

  /** Where a member is, for its peers and for redirects; undefined if unknown or removed. */
  resolve(memberId: number): string | undefined {
    const member = this.#members.get(memberId);
    return member === undefined || member.state === "removed" || member.address === "" ? undefined : member.address;
  }

  /** Takes in what records or other members say, and keeps it in the background. */
  learn(members: readonly MemberView[]): void {
    let hasChanged = false;
    for (const member of members) {
      const known = this.#members.get(member.memberId);
      const next = merge(known, member);
      if (next === known) continue;
      this.#members.set(member.memberId, next);
      hasChanged = true;
    }
    if (!hasChanged) return;
    this.#isDirty = true;
    this.#saving = this.#saving.then(() => this.#save());
  }

  /** Resolves when what was learned until now is on disk, or could not be written. */
  async flush(): Promise<void> {
    await this.#saving;
  }

  async #save(): Promise<void> {
    if (!this.#isDirty || this.#place === undefined) return;
    this.#isDirty = false;
    const { disk, directory } = this.#place;
    try {
      await replaceFile(disk, directory, FILE, Buffer.from(`${JSON.stringify(this.all())}\n`));
    } catch (error) {
      this.#logger.log("warn", "could not keep the list of PD's members", { error: String(error) });
    }
  }
}

function merge(known: MemberView | undefined, told: MemberView): MemberView {
  if (known !== undefined && (known.state === "removed" || told.incarnation < known.incarnation)) {
    return told.state === "removed" && known.state !== "removed" ? { ...known, state: "removed" } : known;
  }
  const { memberId, name, incarnation, version, featureLevel, state } = told;
  const address = told.address === "" ? (known?.address ?? "") : told.address;
  const merged: MemberView = { memberId, name, address, incarnation, version, featureLevel, state };
  return JSON.stringify(merged) === JSON.stringify(known) ? (known ?? merged) : merged;
}
