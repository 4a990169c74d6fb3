/** Harm that no process may survive unnoticed: a flipped bit, a disk that is gone, an older image brought back. */
import type { EventQueue } from "../world/event-queue.js";
import type { SimRandom } from "../world/random.js";
import type { RaftProcess } from "./raft-process.js";

/** What doing harm needs. */
export interface HarmSetting {
  readonly queue: EventQueue;
  readonly random: SimRandom;
  readonly stores: () => readonly RaftProcess[];
  /** Whether all is well but for this, so that what is left can mend it. */
  readonly isWell: () => boolean;
  /** Whether a running store has spoken with another's present life. */
  readonly hasMet: (store: RaftProcess, other: RaftProcess) => boolean;
  readonly mark: (name: string) => void;
}

/** Frames written after a flipped byte at least: the newest two may be cut without a word, as a crash tears them. */
const FRAMES_AFTER_FLIP = 4;
/** How long a store with an older image tries to take part. */
const OUTLAW_MS = 500;

/** Harms the disk of `store`, which runs, and restarts it. */
export function disturbDisk(setting: HarmSetting, kind: "flipBit" | "loseDisk" | "oldImage", store: RaftProcess): void {
  if (kind === "flipBit") flipBit(setting, store);
  else if (kind === "loseDisk") loseDisk(setting, store);
  else bringBackOldImage(setting, store);
}

function flipBit({ queue, random, mark }: HarmSetting, store: RaftProcess): void {
  const syncs = store.log?.stats().syncs ?? 0;
  const safe = store.syncedSizes.findLast((size) => size.syncs + FRAMES_AFTER_FLIP <= syncs);
  if (safe === undefined || safe.bytes < 8 || store.disk.sizeOf(safe.path) < safe.bytes) return;
  store.isDamaged = true;
  store.kill();
  store.disk.flipBit(safe.path, random.int(safe.bytes));
  mark("flipBit");
  queue.plan(random.between(20, 300), () => {
    store.start();
  });
}

function loseDisk({ queue, random, mark }: HarmSetting, store: RaftProcess): void {
  store.isDamaged = true;
  store.crash();
  store.disk.wipe();
  mark("loseDisk");
  queue.plan(random.between(20, 300), () => {
    store.start();
  });
}

/**
 * An image is taken, two more lives go by, then the image comes back. PD refuses it; where it starts all the same (PD cannot be asked),
 * the other stores must: they have met the newer life.
 */
function bringBackOldImage(setting: HarmSetting, store: RaftProcess): void {
  const { queue, random, mark } = setting;
  const bringBack = store.disk.image();
  const isFree = (): boolean => store.host !== undefined && !store.isDamaged && !store.isLost;
  const restart = (delayMs: number): void => {
    queue.plan(delayMs, () => {
      store.start();
    });
  };
  queue.plan(random.between(100, 600), () => {
    if (!isFree()) return;
    store.kill();
    restart(5);
    // One life or two that the image does not know; each speaks with everybody.
    if (random.chance(0.5))
      queue.plan(100, () => {
        if (!isFree()) return;
        store.kill();
        restart(5);
      });
    queue.plan(200, () => {
      for (const node of store.host?.groups() ?? []) node.campaign();
    });
    queue.plan(random.between(250, 450), () => {
      if (!isFree() || !setting.isWell()) return;
      const others = setting.stores().filter((other) => other !== store);
      const isKnown = others.every((other) => other.isUp && setting.hasMet(other, store));
      store.isDamaged = true;
      store.isOutlaw = isKnown && random.chance(0.7);
      mark(store.isOutlaw ? "outlaw" : "oldImage");
      store.crash();
      bringBack();
      restart(random.between(5, 100));
      if (!store.isOutlaw) return;
      queue.plan(OUTLAW_MS, () => {
        banish(store);
      });
    });
  });
}

/** Ends the life of a store that nobody may listen to. */
export function banish(store: RaftProcess): void {
  if (!store.isOutlaw) return;
  store.kill();
  store.isLost = true;
  store.isOutlaw = false;
}
