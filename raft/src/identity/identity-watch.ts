/** Looks every second whether the identity files of a running process are still there. */
import type { RheaError, Scheduler, TimerHandle } from "@rhea/common";
import { verifyIdentity, type Identity, type IdentityDirectories } from "./identity.js";

const INTERVAL_MS = 1_000;

/** Starts looking; `onLost` is called once, then it stops. */
export function watchIdentity(
  places: IdentityDirectories,
  identity: Identity,
  scheduler: Scheduler,
  onLost: (error: RheaError) => void,
): { close(): void } {
  let timer: TimerHandle | undefined;
  let isClosed = false;
  const later = (): void => {
    timer = scheduler.setTimer(INTERVAL_MS, () => void look());
  };
  const look = async (): Promise<void> => {
    const error = await verifyIdentity(places, identity);
    if (isClosed) return;
    if (error === undefined) later();
    else onLost(error);
  };
  later();
  return {
    close: () => {
      isClosed = true;
      timer?.cancel();
    },
  };
}
