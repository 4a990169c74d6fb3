import { RheaError } from "@rhea/common";
import { isVoter, makeMessage, ProposalDroppedError, StorageCompactedError } from "../core/index.js";
import {
  CommandError,
  firstNumber,
  numberOf,
  parseBool,
  parseUint,
  plainIds,
  strictly,
  type Args,
} from "./arguments.js";
import { EMPTY_SNAPSHOT, InteractionEnv, type NodeOptions, type Recipient } from "./interaction-env.js";
import { messageTypeNamed, renderMessage, renderProgress, stateName } from "./render.js";
import { parseChanges } from "./parse-changes.js";
import { parseDirective, TranscriptError, type Directive } from "./datadriven.js";
import type { ConfChangeTransition, ConfState, MessageType, PeerId } from "../core/index.js";

const TRANSITIONS: ReadonlyMap<string, ConfChangeTransition> = new Map([
  ["auto", "auto"],
  ["implicit", "jointImplicit"],
  ["explicit", "jointExplicit"],
]);

/**
 * Returns a handler that runs the directives of one interaction transcript and prints what they show. It throws what the published
 * runner would die of: a `TranscriptError` where the script is at fault, else the core's own error.
 */
export function interactionHandler(): (directive: Directive) => string {
  const env = new InteractionEnv();
  return (directive) => {
    env.output.take();
    try {
      runDirective(env, directive);
    } catch (error) {
      const text = answerTo(error);
      if (env.output.isQuiet) return text;
      env.output.write(text);
    }
    const text = env.output.take();
    return text === "" ? "ok" : text;
  };
}

function runDirective(env: InteractionEnv, directive: Directive): void {
  if (directive.command === "propose-conf-change") {
    proposeConfChange(env, directive.args, directive.input);
    return;
  }
  runCommand(env, directive.command, directive.args);
  // Further commands may stand in the input, one a line; an error of one of them does not keep the next from running.
  for (const text of directive.input.split("\n")) {
    const { command, args } = parseDirective(text, directive.line);
    if (command === "") continue;
    try {
      runCommand(env, command, args);
    } catch (error) {
      if (env.output.isQuiet) throw error;
      env.output.write(answerTo(error));
    }
  }
}

function runCommand(env: InteractionEnv, command: string, args: Args): void {
  switch (command) {
    case "_breakpoint":
      return;
    case "add-nodes":
      addNodes(env, args);
      return;
    case "campaign":
      env.raw(firstNumber(args)).campaign();
      return;
    case "compact":
      env.compact(firstNumber(args), parseUint(args[1]?.key ?? ""));
      env.printLog(firstNumber(args));
      return;
    case "deliver-msgs":
      deliver(env, args);
      return;
    case "process-ready":
      forEachId(env, args, "handling Ready", (id) => {
        env.processReady(id);
      });
      return;
    case "process-append-thread":
      forEachId(env, args, "processing append thread", (id) => {
        env.processAppendThread(id);
      });
      return;
    case "process-apply-thread":
      forEachId(env, args, "processing apply thread", (id) => {
        env.processApplyThread(id);
      });
      return;
    case "log-level":
      env.output.setLevelNamed(args[0]?.key ?? "");
      return;
    case "raft-log":
      env.printLog(firstNumber(args));
      return;
    case "raft-state":
      printStates(env);
      return;
    case "set-randomized-election-timeout":
      env.raw(firstNumber(args)).setRandomizedElectionTimeout(electionTimeout(args));
      return;
    case "stabilize":
      stabilize(env, args);
      return;
    case "status":
      for (const [id, pr] of env.raw(firstNumber(args)).status().progress)
        env.output.write(`${id}: ${renderProgress(pr)}\n`);
      return;
    case "tick-election":
      tick(env, firstNumber(args), env.options(firstNumber(args)).electionTick);
      return;
    case "tick-heartbeat":
      tick(env, firstNumber(args), env.options(firstNumber(args)).heartbeatTick);
      return;
    case "tick":
      tick(env, firstNumber(args), Number(onlyWord(args)));
      return;
    case "transfer-leadership":
      transferLeadership(env, args);
      return;
    case "forget-leader":
      env.raw(firstNumber(args)).forgetLeader();
      return;
    case "send-snapshot":
      sendSnapshot(env, args);
      return;
    case "propose":
      env.raw(firstNumber(args)).propose(Buffer.from(onlyWord(args)));
      return;
    case "read-index":
      env.raw(firstNumber(args)).readIndex(Buffer.from(onlyWord(args)));
      return;
    case "report-snapshot":
      reportSnapshot(env, args);
      return;
    case "report-unreachable":
      reportUnreachable(env, args);
      return;
    default:
      throw new CommandError("unknown command");
  }
}

function addNodes(env: InteractionEnv, args: Args): void {
  const count = firstNumber(args);
  const values = (key: string): readonly string[] =>
    args.slice(1).flatMap((arg) => (arg.key === key ? arg.values : []));
  const numbers = (key: string): number[] =>
    values(key).map((value) => strictly(`${key}=${value}`, () => parseUint(value)));
  const number = (key: string): number | undefined => numbers(key).at(-1);
  const flag = (key: string): boolean =>
    values(key)
      .map((value) => strictly(`${key}=${value}`, () => parseBool(value)))
      .at(-1) ?? false;
  const index = number("index") ?? 0;
  const options: NodeOptions = {
    electionTick: 3,
    heartbeatTick: 1,
    applied: index,
    maxInflightMsgs: number("inflight") ?? 2 ** 31 - 1,
    maxInflightBytes: number("max-inflight-bytes") ?? 0,
    maxCommittedSizePerReady: number("max-committed-size-per-ready") ?? 0,
    maxUncommittedEntriesSize: number("max-uncommitted-size") ?? 0,
    asyncStorageWrites: flag("async-storage-writes"),
    preVote: flag("prevote"),
    checkQuorum: flag("checkquorum"),
    disableProposalForwarding: flag("disable-proposal-forwarding"),
    disableConfChangeValidation: flag("disable-conf-change-validation"),
    stepDownOnRemoval: flag("step-down-on-removal"),
    readOnlyOption: readOnlyOption(values("read-only").at(-1)),
  };
  const perMessage = number("max-size-per-msg");
  const confState: ConfState = {
    ...EMPTY_SNAPSHOT.metadata.confState,
    voters: numbers("voters"),
    learners: numbers("learners"),
  };
  const data = Buffer.from(values("content").at(-1) ?? "");
  const limited = perMessage === undefined ? options : { ...options, maxSizePerMsg: perMessage };
  env.addNodes(count, limited, { metadata: { confState, index, term: 0 }, data });
}

function readOnlyOption(value: string | undefined): "safe" | "leaseBased" {
  if (value === undefined || value === "safe") return "safe";
  if (value === "lease-based") return "leaseBased";
  throw new CommandError(`invalid read-only option "${value}"`);
}

function electionTimeout(args: Args): number {
  const ticks = numberOf(args, "timeout");
  if (ticks === 0) throw new TranscriptError("an election timeout is at least one tick");
  return ticks;
}

function transferLeadership(env: InteractionEnv, args: Args): void {
  const [from, to] = [numberOf(args, "from"), numberOf(args, "to")];
  if (!env.nodeIds.includes(to)) throw new TranscriptError(`there is no node ${to} to transfer leadership to`);
  env.raw(from).transferLeader(to);
}

function reportUnreachable(env: InteractionEnv, args: Args): void {
  const [reporter, reported, ...rest] = plainIds(args);
  if (reporter === undefined || reported === undefined || rest.length > 0)
    throw new CommandError("must specify exactly two node indexes: node on which to report, and reported node");
  env.raw(reporter).reportUnreachable(reported);
}

function reportSnapshot(env: InteractionEnv, args: Args): void {
  const [reporter, reported, ...rest] = plainIds(args);
  const status = args.find(({ key }) => key === "status")?.values[0] ?? "finish";
  if (reporter === undefined || reported === undefined || rest.length > 0)
    throw new TranscriptError("report-snapshot takes the reporting peer and the reported one");
  if (status !== "finish" && status !== "failure")
    throw new TranscriptError(`status=${status} is neither finish nor failure`);
  env.raw(reporter).reportSnapshot(reported, status);
}

/** Returns the second and last argument, which has no value. */
function onlyWord(args: Args): string {
  const [, word] = args;
  if (word === undefined || args.length !== 2 || word.values.length > 0)
    throw new TranscriptError("the command takes a peer and exactly one word");
  return word.key;
}

function deliver(env: InteractionEnv, args: Args): void {
  let type: MessageType | undefined;
  const recipients: Recipient[] = [];
  for (const arg of args) {
    for (const id of plainIds([arg])) recipients.push({ id, drop: false });
    for (const value of arg.values) {
      if (arg.key === "drop") {
        const id = strictly(`drop=${value}`, () => parseUint(value));
        if (recipients.some((recipient) => recipient.id === id))
          throw new TranscriptError(`can't both deliver and drop msgs to ${id}`);
        recipients.push({ id, drop: true });
      } else if (arg.key === "type") {
        type = messageTypeNamed(value);
        if (type === undefined) throw new TranscriptError(`unknown message type ${value}`);
      }
    }
  }
  if (env.deliver(type, recipients) === 0) env.output.write("no messages\n");
}

function stabilize(env: InteractionEnv, args: Args): void {
  const before = env.output.level;
  try {
    for (const { key, values } of args)
      for (const level of values) if (key === "log-level") env.output.setLevelNamed(level);
    const ids = plainIds(args);
    env.stabilize(ids.length === 0 ? env.nodeIds : ids);
  } finally {
    env.output.level = before;
  }
}

function printStates(env: InteractionEnv): void {
  for (const id of env.nodeIds) {
    const { confState, state, term, lead } = env.raw(id).status();
    const role = isVoter(confState, id) ? "Voter" : "Non-Voter";
    env.output.write(`${id}: ${stateName(state)} (${role}) Term:${term} Lead:${lead}\n`);
  }
}

function sendSnapshot(env: InteractionEnv, args: Args): void {
  const [from, to, ...rest] = plainIds(args);
  if (from === undefined || to === undefined || rest.length > 0)
    throw new TranscriptError("send-snapshot needs a sender and a receiver");
  const { term } = env.raw(from).basicStatus();
  const m = makeMessage({ type: "snap", term, from, to, snapshot: env.snapshot(from) });
  env.post(m);
  env.output.write(renderMessage(m));
}

function proposeConfChange(env: InteractionEnv, args: Args, input: string): void {
  const raw = env.raw(firstNumber(args));
  let transition: ConfChangeTransition = "auto";
  let isV1 = false;
  for (const { key, values } of args.slice(1)) {
    for (const value of values) {
      if (key === "v1") isV1 = parseBool(value);
      else if (key === "transition") transition = transitionNamed(value);
      else throw new CommandError(`unknown command ${key}`);
    }
  }
  const changes = parseChanges(input);
  const context = new Uint8Array();
  if (isV1) {
    const [only] = changes;
    if (changes.length > 1 || transition !== "auto")
      throw new CommandError("v1 conf change can only have one operation and no transition");
    if (only === undefined) throw new TranscriptError("v1 conf change needs one operation");
    ignoreRefusal(() => raw.proposeConfChange({ ...only, context }));
  } else {
    ignoreRefusal(() => raw.proposeConfChange({ transition, changes, context }));
  }
}

function transitionNamed(name: string): ConfChangeTransition {
  const transition = TRANSITIONS.get(name);
  if (transition === undefined) throw new CommandError(`unknown transition ${name}`);
  return transition;
}

/** Runs a proposal; that an empty entry took a change's place shows in the events, not as an error. */
function ignoreRefusal(propose: () => number): void {
  try {
    propose();
  } catch (error) {
    const refused =
      error instanceof RheaError && (error.code === "CONF_CHANGE_BUSY" || error.code === "OPERATION_REFUSED");
    if (!refused) throw error;
  }
}

function tick(env: InteractionEnv, id: PeerId, ticks: number): void {
  for (let i = 0; i < ticks; i++) env.raw(id).tick();
}

function forEachId(env: InteractionEnv, args: Args, title: string, body: (id: PeerId) => void): void {
  const ids = plainIds(args);
  for (const id of ids) {
    if (ids.length === 1) {
      body(id);
      continue;
    }
    env.output.write(`> ${id} ${title}\n`);
    env.output.indented(() => {
      body(id);
    });
  }
}

/**
 * Returns what the published runner writes for an error that it answers.
 * @throws whatever it does not answer.
 */
function answerTo(error: unknown): string {
  if (error instanceof ProposalDroppedError) return "raft proposal dropped";
  if (error instanceof StorageCompactedError) return "requested index is unavailable due to compaction";
  if (error instanceof CommandError) return error.message;
  throw error;
}
