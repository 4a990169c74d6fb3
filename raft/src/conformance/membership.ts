import { enterJoint, leaveJoint, simpleChange, type ChangedMembership } from "../core/conf-change.js";
import { EMPTY_CONF_STATE } from "../core/index.js";
import { parseChanges } from "./parse-changes.js";
import { renderMembership, renderProgress } from "./render.js";
import type { Directive } from "./datadriven.js";

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
        const autoLeave = args.some(({ key, values }) => key === "autoleave" && values[0] === "true");
        at = enterJoint(at, options, autoLeave, changes);
      } else if (command === "leave-joint") {
        if (changes.length > 0) return "this command takes no input\n";
        at = leaveJoint(at);
      } else {
        return "unknown command";
      }
    } catch (error) {
      return `${error instanceof Error ? error.message : String(error)}\n`;
    }
    const members = [...at.progress.values()].sort((a, b) => a.id - b.id);
    return `${renderMembership(at.conf)}\n${members.map((pr) => `${pr.id}: ${renderProgress(pr.status())}\n`).join("")}`;
  };
}
