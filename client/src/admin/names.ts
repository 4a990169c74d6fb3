/** Words for the numbers of the wire, as tools print them. */
import { PeerRole, StepKind, StoreState } from "@rhea/proto";

function words(numbers: Readonly<Record<string, number>>, prefix: string): ReadonlyMap<number, string> {
  return new Map(
    Object.entries(numbers).map(([name, number]) => [
      number,
      name.replace(prefix, "").toLowerCase().replaceAll("_", "-"),
    ]),
  );
}

const STORE_STATES = words(StoreState, "STORE_");
const PEER_ROLES = words(PeerRole, "");
const STEP_KINDS = words(StepKind, "STEP_");

/** `up`, `disconnected`, `down`, `draining` or `tombstone`. */
export function storeStateName(state: number): string {
  return STORE_STATES.get(state) ?? `state-${state}`;
}

/** `voter`, `learner`, `incoming-voter` or `demoting-voter`. */
export function peerRoleName(role: number): string {
  return PEER_ROLES.get(role) ?? `role-${role}`;
}

/** `add-learner`, `promote`, `transfer-leader`, ... */
export function stepKindName(kind: number): string {
  return STEP_KINDS.get(kind) ?? `step-${kind}`;
}
