/** A client with a scripted cluster in virtual time. */
import { createClient, type RheaClient } from "../client.js";
import type { ConnectOptions } from "../options.js";
import { FakeCluster } from "./fake-cluster.js";
import { MemoryNet } from "./memory-net.js";
import { seededRng, VirtualTime } from "./virtual-time.js";

/** What a test works with. */
export interface World {
  readonly time: VirtualTime;
  readonly net: MemoryNet;
  readonly cluster: FakeCluster;
  readonly client: RheaClient;
}

/** Makes three stores, a PD and a client. `split`: the regions' inner borders; region ids count from 10. */
export async function makeWorld(split: readonly string[] = [], options: Partial<ConnectOptions> = {}): Promise<World> {
  const time = new VirtualTime();
  const net = new MemoryNet(time.scheduler);
  const cluster = new FakeCluster(net, 3);
  const borders = ["", ...split, ""];
  for (let i = 0; i + 1 < borders.length; i++) {
    cluster.addRegion(10 + i, borders[i] ?? "", borders[i + 1] ?? "", (i % 3) + 1);
  }
  await cluster.start();
  const environment = { net, clock: time.clock, scheduler: time.scheduler, rng: seededRng(7) };
  const client = createClient({ pd: [cluster.pdAddress], ...options }, environment);
  return { time, net, cluster, client };
}
