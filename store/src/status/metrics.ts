/** Prometheus metrics of a store: `rhea_store_*`, base units, bounded labels. Values are taken from the engine when they are asked for. */
import { Counter, Gauge, Registry } from "prom-client";
import type { Clock } from "@rhea/common";
import type { StoreEngineCore } from "../engine/store-engine.js";

/** Makes the registry of one store. */
export function createStoreMetrics(
  engine: StoreEngineCore,
  clock: Clock,
  dataSpace: () => Promise<{ freeBytes: number }>,
): Registry {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number | Promise<number>): void => {
    new Gauge({
      name: `rhea_store_${name}`,
      help,
      registers,
      async collect() {
        this.set(await read());
      },
    });
  };
  const counter = (name: string, help: string, read: () => number): void => {
    let last = 0;
    new Counter({
      name: `rhea_store_${name}`,
      help,
      registers,
      collect() {
        const now = read();
        this.inc(Math.max(0, now - last));
        last = now;
      },
    });
  };
  const regions = new Gauge({
    name: "rhea_store_regions",
    help: "Peers on this store by state",
    labelNames: ["state"],
    registers,
    collect() {
      const states = { live: 0, awaiting: 0, error: 0 };
      for (const region of engine.internals()) {
        if (region.fault !== undefined) states.error++;
        else if (region.state === "live" || region.state === "awaiting") states[region.state]++;
      }
      for (const [state, count] of Object.entries(states)) this.set({ state }, count);
    },
  });
  regions.reset();
  const errors = new Counter({
    name: "rhea_store_errors_total",
    help: "Operations answered with an error, by code",
    labelNames: ["code"],
    registers,
    collect() {
      this.reset();
      for (const [code, count] of engine.counters.errors) this.inc({ code }, count);
    },
  });
  errors.reset();
  const startedMs = clock.monotonicMs();
  gauge("uptime_seconds", "Time since the start", () => (clock.monotonicMs() - startedMs) / 1_000);
  gauge("leaders", "Regions led by this store", () => engine.host.stats().leaders);
  gauge("quiet_groups", "Raft groups at rest, without ticks and heartbeats of their own", () => {
    return engine.host.stats().quietGroups;
  });
  gauge("disk_stalled", "1 while the log does not answer: leaderships are given up", () => {
    return engine.host.stats().isDiskStalled ? 1 : 0;
  });
  gauge("raft_queued_bytes", "Bytes of raft messages that have not left, over all other stores", () => {
    return engine.host.stats().links.reduce((sum, { queuedBytes }) => sum + queuedBytes, 0);
  });
  gauge("raft_links_failing", "Stores that cannot be reached at present", () => {
    return engine.host.stats().links.filter(({ failures }) => failures > 0).length;
  });
  gauge("client_streams", "Open streams of clients", () => engine.counters.clientStreams);
  gauge("overlay_bytes", "Bytes applied and not yet durable in the key-value engine", () => engine.overlayBytes);
  gauge("pending_clears", "Ranges of former regions that are still to be cleared", () => engine.pendingClears);
  gauge("data_free_bytes", "Bytes free on the data volume", async () => (await dataSpace()).freeBytes);
  gauge("log_bytes", "Bytes of the write-ahead log's files", () => engine.logStats().fileBytes);
  gauge("log_live_bytes", "Bytes of the write-ahead log that are still needed", () => engine.logStats().liveBytes);
  gauge("snapshots_sending", "Snapshots on their way out", () => engine.host.stats().sendingSnapshots);
  gauge("snapshots_receiving", "Snapshots on their way in", () => engine.host.stats().receivingSnapshots);
  counter("log_syncs_total", "Times the log was made durable", () => engine.logStats().syncs);
  counter("log_sync_seconds_total", "Time spent making the log durable", () => engine.logStats().syncSeconds);
  counter("turns_total", "Turns of the raft host", () => engine.host.stats().turns);
  counter("raft_messages_sent_total", "Raft messages sent", () => engine.host.stats().messagesSent);
  counter("raft_messages_received_total", "Raft messages received", () => engine.host.stats().messagesReceived);
  counter("read_index_rounds_total", "ReadIndex rounds", () => engine.host.stats().readIndexRounds);
  counter("entries_applied_total", "Raft entries applied, over all regions", () => engine.counters.entriesApplied);
  counter("commands_applied_total", "Commands applied, over all regions", () => engine.counters.commandsApplied);
  counter("reads_total", "Reads answered to clients", () => engine.counters.readsServed);
  counter("engine_batches_total", "Batches written to the key-value engine", () => engine.overlayBatches);
  return registry;
}
