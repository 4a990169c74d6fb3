// One process of the replicated counter. README.md starts three of them.
import { parseArgs } from "node:util";
import { createLogger, runMain } from "@rhea/common/env-node";
import { RheaError } from "@rhea/common";
import { describeOnSignal, startRaftServer } from "@rhea/raft/env-node";
import { COUNTER_GROUP } from "./counter-methods.js";
import { addCounterService } from "./counter-service.js";
import { CounterStateMachine } from "./counter-state-machine.js";

const USAGE = "usage: counter-server --data DIRECTORY --address HOST:PORT (--peers HOST:PORT,... | --join)";

runMain("counter-server", async (context) => {
  const { data, address, peers, join } = readArguments(context.argv);
  const counter = new CounterStateMachine();
  const raft = await startRaftServer({
    dataDirectory: data,
    address,
    join,
    ...(peers === undefined ? {} : { peers }),
    groups: [{ groupId: COUNTER_GROUP, stateMachine: counter, snapshots: { intervalMs: 30_000 } }],
    addServices: (server, started) => {
      addCounterService(server, started, counter);
    },
    logger: createLogger({ name: `counter ${address}` }),
    onFatal: (error) => context.fail(error),
  });
  describeOnSignal(raft); // kill -USR2 PID
  process.stdout.write(`counter-server ready: ${raft.address}\n`);
  await context.shutdown; // Ctrl-C or SIGTERM
  await raft.close();
});

function readArguments(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        data: { type: "string" },
        address: { type: "string" },
        peers: { type: "string" },
        join: { type: "boolean", default: false },
      },
    });
    const { data, address, peers, join } = values;
    if (data === undefined || address === undefined) throw new Error("--data and --address are needed");
    return { data, address, peers, join };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RheaError("INVALID_ARGUMENT", `${why}\n${USAGE}`, { cause });
  }
}
