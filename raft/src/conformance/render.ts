import { confChangeOfEntry, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NO_PEER } from "../core/index.js";
import type {
  ConfChangeSingle,
  ConfChangeType,
  ConfState,
  Entry,
  EntryType,
  HardState,
  Message,
  MessageType,
  PeerId,
  ProgressState,
  ProgressStatus,
  RaftStateType,
  Ready,
  Snapshot,
} from "../core/index.js";

const MESSAGE_NAMES: Record<MessageType, string> = {
  hup: "MsgHup",
  beat: "MsgBeat",
  prop: "MsgProp",
  app: "MsgApp",
  appResp: "MsgAppResp",
  vote: "MsgVote",
  voteResp: "MsgVoteResp",
  snap: "MsgSnap",
  heartbeat: "MsgHeartbeat",
  heartbeatResp: "MsgHeartbeatResp",
  unreachable: "MsgUnreachable",
  snapStatus: "MsgSnapStatus",
  checkQuorum: "MsgCheckQuorum",
  transferLeader: "MsgTransferLeader",
  timeoutNow: "MsgTimeoutNow",
  readIndex: "MsgReadIndex",
  readIndexResp: "MsgReadIndexResp",
  preVote: "MsgPreVote",
  preVoteResp: "MsgPreVoteResp",
  storageAppend: "MsgStorageAppend",
  storageAppendResp: "MsgStorageAppendResp",
  storageApply: "MsgStorageApply",
  storageApplyResp: "MsgStorageApplyResp",
  forgetLeader: "MsgForgetLeader",
};
const STATE_NAMES: Record<RaftStateType, string> = {
  follower: "StateFollower",
  preCandidate: "StatePreCandidate",
  candidate: "StateCandidate",
  leader: "StateLeader",
};
const PROGRESS_NAMES: Record<ProgressState, string> = {
  probe: "StateProbe",
  replicate: "StateReplicate",
  snapshot: "StateSnapshot",
};
const ENTRY_NAMES: Record<EntryType, string> = {
  normal: "EntryNormal",
  confChange: "EntryConfChange",
  confChangeV2: "EntryConfChangeV2",
};
const CHANGE_LETTERS: Record<ConfChangeType, string> = {
  addNode: "v",
  removeNode: "r",
  updateNode: "u",
  addLearnerNode: "l",
};

/** Returns the transcripts' name of a message type. */
export function messageName(type: MessageType): string {
  return MESSAGE_NAMES[type];
}

/** Finds a message type by the transcripts' name of it. */
export function messageTypeNamed(name: string): MessageType | undefined {
  return (Object.keys(MESSAGE_NAMES) as MessageType[]).find((type) => MESSAGE_NAMES[type] === name);
}

/** Returns the transcripts' name of a role. */
export function stateName(state: RaftStateType): string {
  return STATE_NAMES[state];
}

/** Prints a peer id as transcripts' log lines do. */
export function hex(id: PeerId): string {
  return id.toString(16);
}

/** Prints changes as `v1 l2 r3`. */
function renderChanges(changes: readonly ConfChangeSingle[]): string {
  return changes.map(({ type, nodeId }) => `${CHANGE_LETTERS[type]}${nodeId}`).join(" ");
}

/** Prints `1/11 EntryNormal "data"`. */
function renderEntry(entry: Entry): string {
  const change = confChangeOfEntry(entry);
  const text = change === undefined ? quote(entry.data) : renderChanges(change.changes);
  return `${entry.term}/${entry.index} ${ENTRY_NAMES[entry.type]}${text === "" ? "" : ` ${text}`}`;
}

/** Prints entries, one a line. */
export function renderEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${renderEntry(entry)}\n`).join("");
}

/** Prints `StateProbe match=0 next=1 learner ...`. */
export function renderProgress(pr: ProgressStatus): string {
  let text = `${PROGRESS_NAMES[pr.state]} match=${pr.match} next=${pr.next}`;
  if (pr.isLearner) text += " learner";
  if (pr.paused) text += " paused";
  if (pr.pendingSnapshot > 0) text += ` pendingSnap=${pr.pendingSnapshot}`;
  if (!pr.recentActive) text += " inactive";
  if (pr.inflightMsgs > 0) text += ` inflight=${pr.inflightMsgs}${pr.inflightFull ? "[full]" : ""}`;
  return text;
}

/** Prints `voters=(1 2)&&(1) learners=(3) learners_next=(2) autoleave`, with peers in hexadecimal. */
export function renderMembership(conf: ConfState): string {
  const set = (ids: readonly PeerId[]): string => `(${ids.map(hex).join(" ")})`;
  let text = `voters=${set(conf.voters)}`;
  if (conf.votersOutgoing.length > 0) text += `&&${set(conf.votersOutgoing)}`;
  if (conf.learners.length > 0) text += ` learners=${set(conf.learners)}`;
  if (conf.learnersNext.length > 0) text += ` learners_next=${set(conf.learnersNext)}`;
  return conf.autoLeave ? `${text} autoleave` : text;
}

/** Prints a membership as snapshots show it. */
function renderConfState(conf: ConfState): string {
  const list = (ids: readonly PeerId[]): string => `[${ids.join(" ")}]`;
  return (
    `Voters:${list(conf.voters)} VotersOutgoing:${list(conf.votersOutgoing)} Learners:${list(conf.learners)} ` +
    `LearnersNext:${list(conf.learnersNext)} AutoLeave:${String(conf.autoLeave)}`
  );
}

/** Prints `1->2 MsgApp Term:1 Log:1/2 ...`, over several lines when it has several entries, a snapshot or responses. */
export function renderMessage(m: Message, indent = ""): string {
  let text = `${indent}${target(m.from)}->${target(m.to)} ${messageName(m.type)} Term:${m.term} Log:${m.logTerm}/${m.index}`;
  if (m.reject) text += ` Rejected (Hint: ${m.rejectHint})`;
  if (m.commit !== 0) text += ` Commit:${m.commit}`;
  if (m.vote !== NO_PEER) text += ` Vote:${m.vote}`;
  const [first] = m.entries;
  if (first !== undefined && m.entries.length === 1) text += ` Entries:[${renderEntry(first)}]`;
  else if (first !== undefined)
    text += ` Entries:[${m.entries.map((e) => `\n${indent}  ${renderEntry(e)}`).join("")}\n${indent}]`;
  if (hasSnapshot(m.snapshot)) text += `\n${indent}  Snapshot: ${renderSnapshot(m.snapshot)}`;
  if (m.responses !== undefined && m.responses.length > 0) {
    text += ` Responses:[${m.responses.map((r) => `\n${renderMessage(r, `${indent}  `)}`).join("")}\n${indent}]`;
  }
  return text;
}

/** Prints all a Ready holds. */
export function renderReady(ready: Ready): string {
  let text = "";
  if (ready.softState !== undefined) text += `Lead:${ready.softState.lead} State:${stateName(ready.softState.state)}\n`;
  if (ready.hardState !== undefined) text += `HardState ${renderHardState(ready.hardState)}\n`;
  if (ready.readStates.length > 0) {
    const states = ready.readStates.map(({ index, requestCtx }) => `{${index} [${[...requestCtx].join(" ")}]}`);
    text += `ReadStates [${states.join(" ")}]\n`;
  }
  if (ready.entries.length > 0) text += `Entries:\n${renderEntries(ready.entries)}`;
  if (hasSnapshot(ready.snapshot)) text += `Snapshot ${renderSnapshot(ready.snapshot)}\n`;
  if (ready.committedEntries.length > 0) text += `CommittedEntries:\n${renderEntries(ready.committedEntries)}`;
  if (ready.messages.length > 0) text += `Messages:\n${ready.messages.map((m) => `${renderMessage(m)}\n`).join("")}`;
  return text === "" ? "<empty Ready>" : `Ready MustSync=${String(ready.mustSync)}:\n${text}`;
}

function renderHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === NO_PEER ? "" : ` Vote:${vote}`} Commit:${commit}`;
}

function renderSnapshot({ metadata: { index, term, confState } }: Snapshot): string {
  return `Index:${index} Term:${term} ConfState:${renderConfState(confState)}`;
}

function hasSnapshot(snapshot: Snapshot | undefined): snapshot is Snapshot {
  return snapshot !== undefined && snapshot.metadata.index !== 0;
}

function target(id: PeerId): string {
  if (id === NO_PEER) return "None";
  if (id === LOCAL_APPEND_THREAD) return "AppendThread";
  return id === LOCAL_APPLY_THREAD ? "ApplyThread" : hex(id);
}

/** Quotes bytes as Go's %q does. */
export function quote(data: Uint8Array): string {
  const text = Buffer.from(data).toString("utf8");
  if (text.includes("\ufffd"))
    return `"${[...data].map((byte) => quoteChar(String.fromCharCode(byte), byte)).join("")}"`;
  return `"${Array.from(text, (char) => quoteChar(char, char.codePointAt(0) ?? 0)).join("")}"`;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\x07", "\\a"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\v", "\\v"],
  ["\\", "\\\\"],
  ['"', '\\"'],
]);

function quoteChar(char: string, code: number): string {
  const escape = ESCAPES.get(char);
  if (escape !== undefined) return escape;
  if (code < 0x20 || (code >= 0x7f && code <= 0xff)) return `\\x${code.toString(16).padStart(2, "0")}`;
  return char;
}
