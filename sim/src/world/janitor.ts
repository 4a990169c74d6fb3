/** Plays the part of PD that worlds without PD lack: a removed peer that was cut off learns it from somebody with proof. */
import type { RegionDescriptor } from "@rhea/store";
import type { SimStore } from "./sim-store.js";

/** Gives every peer that its region's leader does not list the leader's descriptor as proof. */
export function retireRemovedPeers(stores: readonly SimStore[]): void {
  const led = new Map<number, RegionDescriptor>();
  for (const { engine } of stores) {
    for (const region of engine?.regions() ?? []) {
      const known = led.get(region.regionId);
      if (region.isLeader && (known === undefined || known.epoch.confVer < region.descriptor.epoch.confVer)) {
        led.set(region.regionId, region.descriptor);
      }
    }
  }
  for (const { engine } of stores) {
    for (const { regionId, peerId, descriptor } of engine?.regions() ?? []) {
      const proof = led.get(regionId);
      if (proof === undefined || proof.epoch.confVer <= descriptor.epoch.confVer) continue;
      if (proof.peers.some((peer) => peer.peerId === peerId)) continue;
      // A refusal (the store stops, the proof is old) is repeated in the next second.
      engine?.destroyPeer(regionId, peerId, proof).catch(() => undefined);
    }
  }
}
