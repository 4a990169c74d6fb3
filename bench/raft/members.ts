/** The parent's side: starts members, calls them, kills them. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MemberCalls, MemberMessage } from "./member-calls.js";

/** Members run what is built, as an embedder's process does: running from the sources costs time in every closure. */
const MAIN = fileURLToPath(new URL("../raft-member.ts", import.meta.url));

type Argument<Call extends keyof MemberCalls> = Parameters<MemberCalls[Call]>[0];
type Answer<Call extends keyof MemberCalls> = Awaited<ReturnType<MemberCalls[Call]>>;

/** One running process. */
export class Member {
  readonly storeId: number;
  /** Told when it began to lead a group. */
  onLeading: ((group: number, term: number) => void) | undefined;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<
    number,
    { readonly resolve: (result: never) => void; readonly reject: (error: Error) => void }
  >();
  #lastId = 0;

  /** Forks it. `profile`: a directory for its CPU profile. */
  constructor(storeId: number, profile: string | undefined) {
    this.storeId = storeId;
    const prof = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${join(profile, `store-${storeId}`)}`];
    this.#process = fork(MAIN, { execArgv: ["--import=tsx", ...prof], serialization: "json" });
    this.#process.on("message", (message: MemberMessage) => {
      this.#onMessage(message);
    });
    this.#process.on("exit", (code, signal) => {
      const error = new Error(`member ${storeId} ended with ${signal ?? `code ${String(code)}`}`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Asks it to do something. Rejects when it fails or ends. */
  call<Call extends keyof MemberCalls>(
    call: Call,
    ...argument: Argument<Call> extends undefined ? [] : [Argument<Call>]
  ): Promise<Answer<Call>> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#process.send({ id, call, argument: argument[0] });
    });
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await gone;
  }

  /** Ends it in order; resolves when it is gone. */
  async close(): Promise<void> {
    const gone = once(this.#process, "exit");
    await this.call("close");
    this.#process.disconnect();
    await gone;
  }

  #onMessage(message: MemberMessage): void {
    if (message.kind === "leading") {
      this.onLeading?.(message.group, message.term);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "answer") waiting?.resolve(message.result as never);
    else waiting?.reject(new Error(message.message));
  }
}

/** Three members over a temporary directory. */
export class Trio {
  readonly members: Member[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "rhea-bench-raft-"));
  readonly #profile: string | undefined;
  readonly #addresses = new Map<number, string>();
  readonly #incarnations = new Map<number, number>();

  private constructor(profile: string | undefined) {
    this.#profile = profile;
  }

  /** Starts three hosts that know each other, without groups. */
  static async start(profile: string | undefined): Promise<Trio> {
    const trio = new Trio(profile);
    for (const storeId of trio.stores) trio.members.push(await trio.#open(storeId));
    await trio.#connect();
    return trio;
  }

  get stores(): readonly number[] {
    return [1, 2, 3];
  }

  member(storeId: number): Member {
    const member = this.members.find((each) => each.storeId === storeId);
    if (member === undefined) throw new Error(`no member ${storeId}`);
    return member;
  }

  /** Creates groups on all members. */
  async createGroups(firstGroup: number, count: number): Promise<void> {
    const { stores } = this;
    await Promise.all(this.members.map((each) => each.call("createGroups", { firstGroup, count, stores })));
  }

  /** Lets each member campaign for its share of these groups. */
  async campaign(firstGroup: number, count: number): Promise<void> {
    const { stores } = this;
    await Promise.all(this.members.map((each) => each.call("campaign", { firstGroup, count, stores })));
  }

  /** Starts a killed member again, on its directory, under a new port. */
  async restart(storeId: number): Promise<Member> {
    const member = await this.#open(storeId);
    this.members[this.members.findIndex((each) => each.storeId === storeId)] = member;
    await this.#connect();
    return member;
  }

  /** Ends all, in order where they can, and removes their files. */
  async close(): Promise<void> {
    const results = await Promise.allSettled(this.members.map((each) => each.close()));
    if (results.some(({ status }) => status === "rejected")) await Promise.all(this.members.map((each) => each.kill()));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #open(storeId: number): Promise<Member> {
    const incarnation = (this.#incarnations.get(storeId) ?? 0) + 1;
    this.#incarnations.set(storeId, incarnation);
    const member = new Member(storeId, this.#profile);
    const directory = join(this.#directory, `store-${storeId}`);
    const { address } = await member.call("open", { storeId, incarnation, directory });
    this.#addresses.set(storeId, address);
    return member;
  }

  async #connect(): Promise<void> {
    const addresses = [...this.#addresses];
    await Promise.all(this.members.map((each) => each.call("connect", addresses)));
  }
}
