import { RheaError } from "@rhea/common";
import { enterJoint, leaveJoint, simpleChange, type ChangedMembership } from "../core/conf-change.js";
import { EMPTY_CONF_STATE } from "../core/index.js";
import { CommandError, parseBool, strictly, type Args } from "./arguments.js";
import { TranscriptError, type Directive } from "./datadriven.js";
import { parseChanges } from "./parse-changes.js";
import { renderMembership, renderProgress } from "./render.js";

/** Returns a handler that runs the directives of one membership transcript: simple, enter-joint, leave-joint. */
export function membershipHandler(): (directive: Directive) => string {
  let at: ChangedMembership = { conf: EMPTY_CONF_STATE, progress: new Map() };
  let lastIndex = 0;
  return ({ command, args, input }) => {
    const options = { lastIndex, maxInflightMsgs: 10, maxInflightBytes: Number.MAX_SAFE_INTEGER };
    lastIndex++;
    try {
      const changes = parseChanges(input);
      if (command === "simple") {
        at = simpleChange(at, options, changes);
      } else if (command === "enter-joint") {
        at = enterJoint(at, options, autoLeave(args), changes);
      } else if (command === "leave-joint") {
        if (changes.length > 0) return "this command takes no input\n";
        at = leaveJoint(at);
      } else {
        return "unknown command";
      }
    } catch (error) {
      if (error instanceof CommandError) return error.message;
      if (error instanceof RheaError && error.code === "OPERATION_REFUSED") return `${error.message}\n`;
      throw error;
    }
    const members = [...at.progress.values()].sort((a, b) => a.id - b.id);
    return `${renderMembership(at.conf)}\n${members.map((pr) => `${pr.id}: ${renderProgress(pr.status())}\n`).join("")}`;
  };
}

function autoLeave(args: Args): boolean {
  if (args.length === 0) return false;
  const [value] = args.find(({ key }) => key === "autoleave")?.values ?? [];
  if (value === undefined) throw new TranscriptError("enter-joint takes autoleave=BOOL and nothing else");
  return strictly(`autoleave=${value}`, () => parseBool(value));
}
