import { isVoter, makeMessage, ProposalDroppedError } from "../core/index.js";
import { RheaError } from "@rhea/common";
import { EMPTY_SNAPSHOT, InteractionEnv, type NodeOptions, type Recipient } from "./interaction-env.js";
import { messageTypeNamed, renderMessage, renderProgress, stateName } from "./render.js";
import { parseChanges } from "./parse-changes.js";
import { parseDirective, type Directive, type DirectiveArg } from "./datadriven.js";
import type { ConfChangeTransition, MessageType, PeerId } from "../core/index.js";

type Args = readonly DirectiveArg[];

const TRANSITIONS: ReadonlyMap<string, ConfChangeTransition> = new Map([
  ["auto", "auto"],
  ["implicit", "jointImplicit"],
  ["explicit", "jointExplicit"],
]);

/** Returns a handler that runs the directives of one interaction transcript and prints what they show. */
export function interactionHandler(): (directive: Directive) => string {
  const env = new InteractionEnv();
  return (directive) => {
    env.output.take();
    try {
      runDirective(env, directive);
    } catch (error) {
      const text = errorText(error);
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
  // Further commands may stand in the input, one a line.
  for (const text of directive.input.split("\n")) {
    if (text.trim() === "") continue;
    const { command, args } = parseDirective(text.trim(), directive.line);
    runCommand(env, command, args);
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
      env.raw(firstId(args)).campaign();
      return;
    case "compact":
      env.compact(firstId(args), Number(args[1]?.key));
      env.printLog(firstId(args));
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
      env.printLog(firstId(args));
      return;
    case "raft-state":
      printStates(env);
      return;
    case "set-randomized-election-timeout":
      env.raw(firstId(args)).setRandomizedElectionTimeout(Number(valueOf(args, "timeout")));
      return;
    case "stabilize":
      stabilize(env, args);
      return;
    case "status":
      for (const [id, pr] of env.raw(firstId(args)).status().progress)
        env.output.write(`${id}: ${renderProgress(pr)}\n`);
      return;
    case "tick-election":
      tick(env, firstId(args), env.options(firstId(args)).electionTick);
      return;
    case "tick-heartbeat":
      tick(env, firstId(args), env.options(firstId(args)).heartbeatTick);
      return;
    case "tick":
      tick(env, firstId(args), Number(args[1]?.key));
      return;
    case "transfer-leadership":
      env.raw(Number(valueOf(args, "from"))).transferLeader(Number(valueOf(args, "to")));
      return;
    case "forget-leader":
      env.raw(firstId(args)).forgetLeader();
      return;
    case "send-snapshot":
      sendSnapshot(env, args);
      return;
    case "propose":
      env.raw(firstId(args)).propose(Buffer.from(args[1]?.key ?? ""));
      return;
    case "read-index":
      env.raw(firstId(args)).readIndex(Buffer.from(args[1]?.key ?? ""));
      return;
    case "report-unreachable":
      env.raw(firstId(args)).reportUnreachable(Number(args[1]?.key));
      return;
    default:
      throw new Error("unknown command");
  }
}

function addNodes(env: InteractionEnv, args: Args): void {
  const numbers = (key: string): PeerId[] => (args.find((arg) => arg.key === key)?.values ?? []).map(Number);
  const number = (key: string): number | undefined => numbers(key)[0];
  const flag = (key: string): boolean => optionalValueOf(args, key) === "true";
  const options: NodeOptions = {
    electionTick: 3,
    heartbeatTick: 1,
    applied: number("index") ?? 0,
    maxInflightMsgs: number("inflight") ?? 2 ** 31 - 1,
    maxCommittedSizePerReady: number("max-committed-size-per-ready") ?? 0,
    asyncStorageWrites: flag("async-storage-writes"),
    preVote: flag("prevote"),
    checkQuorum: flag("checkquorum"),
    disableConfChangeValidation: flag("disable-conf-change-validation"),
    stepDownOnRemoval: flag("step-down-on-removal"),
    readOnlyOption: readOnlyOption(optionalValueOf(args, "read-only")),
  };
  const confState = { ...EMPTY_SNAPSHOT.metadata.confState, voters: numbers("voters"), learners: numbers("learners") };
  const data = Buffer.from(optionalValueOf(args, "content") ?? "");
  env.addNodes(firstId(args), options, { metadata: { confState, index: number("index") ?? 0, term: 0 }, data });
}

function readOnlyOption(value: string | undefined): "safe" | "leaseBased" {
  if (value === undefined || value === "safe") return "safe";
  if (value === "lease-based") return "leaseBased";
  throw new Error(`invalid read-only option "${value}"`);
}

function deliver(env: InteractionEnv, args: Args): void {
  let type: MessageType | undefined;
  const recipients: Recipient[] = [];
  for (const { key, values } of args) {
    if (values.length === 0) recipients.push({ id: Number(key), drop: false });
    else if (key === "drop") recipients.push(...values.map((value) => ({ id: Number(value), drop: true })));
    else if (key === "type") type = messageTypeNamed(values[0] ?? "");
    if (key === "type" && type === undefined) throw new Error(`unknown message type ${values[0] ?? ""}`);
  }
  if (env.deliver(type, recipients) === 0) env.output.write("no messages\n");
}

function stabilize(env: InteractionEnv, args: Args): void {
  const before = env.output.level;
  const level = optionalValueOf(args, "log-level");
  try {
    if (level !== undefined) env.output.setLevelNamed(level);
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
  const [from, to] = plainIds(args);
  if (from === undefined || to === undefined) throw new Error("send-snapshot needs a sender and a receiver");
  const m = makeMessage({
    type: "snap",
    term: env.raw(from).basicStatus().term,
    from,
    to,
    snapshot: env.snapshot(from),
  });
  env.post(m);
  env.output.write(renderMessage(m));
}

function proposeConfChange(env: InteractionEnv, args: Args, input: string): void {
  const transition = TRANSITIONS.get(optionalValueOf(args, "transition") ?? "auto");
  if (transition === undefined) throw new Error(`unknown transition ${optionalValueOf(args, "transition") ?? ""}`);
  const changes = parseChanges(input);
  const raw = env.raw(firstId(args));
  const context = new Uint8Array();
  if (optionalValueOf(args, "v1") === "true") {
    const [only] = changes;
    if (only === undefined || changes.length > 1 || transition !== "auto") {
      throw new Error("v1 conf change can only have one operation and no transition");
    }
    ignoreRefusal(() => raw.proposeConfChange({ ...only, context }));
  } else {
    ignoreRefusal(() => raw.proposeConfChange({ transition, changes, context }));
  }
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

function plainIds(args: Args): PeerId[] {
  return args.filter(({ values }) => values.length === 0).map(({ key }) => Number(key));
}

function firstId(args: Args): PeerId {
  return Number(args[0]?.key);
}

function optionalValueOf(args: Args, key: string): string | undefined {
  return args.find((arg) => arg.key === key)?.values[0];
}

function valueOf(args: Args, key: string): string {
  const value = optionalValueOf(args, key);
  if (value === undefined) throw new Error(`missing argument ${key}`);
  return value;
}

function errorText(error: unknown): string {
  if (error instanceof ProposalDroppedError) return "raft proposal dropped";
  return error instanceof Error ? error.message : String(error);
}
