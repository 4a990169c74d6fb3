/** The checkers, in the order in which they look at a region: the first that proposes wins. */
import type { Checker } from "../context.js";
import { betterPlaceChecker } from "./better-place.js";
import { brokenPeerChecker } from "./broken-peer.js";
import { downStoreChecker } from "./down-store.js";
import { drainingStoreChecker } from "./draining-store.js";
import { extraPeerChecker } from "./extra-peer.js";
import { leaveJointChecker } from "./leave-joint.js";
import { makeUpChecker } from "./make-up.js";
import { splitSizeChecker } from "./split-size.js";

export const CHECKERS: readonly Checker[] = [
  leaveJointChecker,
  makeUpChecker,
  downStoreChecker,
  brokenPeerChecker,
  drainingStoreChecker,
  extraPeerChecker,
  splitSizeChecker,
  betterPlaceChecker,
];
