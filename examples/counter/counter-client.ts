// The counter from the command line: what it does to the value, and what it does to the group.
import { ERROR_CODES, RheaError } from "@rhea/common";
import { formatPeer, parseConfiguration, parsePeer } from "@rhea/raft";
import { CounterClient } from "./client.js";
import { COUNTER_GROUP } from "./counter-methods.js";

const USAGE = `usage: counter-client MEMBERS COMMAND      (MEMBERS: host:port,host:port,...; some of them at least)
  add N               adds N and prints the sum
  get [HOST:PORT]     prints the value, asked at the leader or at this member
  load N              adds 1 N times, 16 at once, and prints how long it took
  peers               prints the members and the leader
  add-learner H:P     takes in a process that was started with --join
  promote H:P         gives a learner a vote once it has caught up
  remove H:P          removes a member
  transfer H:P        makes this member the leader
  snapshot H:P        makes this member save a snapshot now`;

async function runCommand(client: CounterClient, members: string, command: string, argument = ""): Promise<string> {
  const { cli } = client;
  const configuration = parseConfiguration(members);
  switch (command) {
    case "add":
      return String(await client.incrementAndGet(Number(argument)));
    case "get":
      return String(await client.get(argument === "" ? undefined : argument));
    case "load":
      return load(client, Number(argument));
    case "peers": {
      const leader = await cli.getLeader(COUNTER_GROUP, configuration);
      const voters = await cli.getPeers(COUNTER_GROUP, configuration);
      const learners = await cli.getLearners(COUNTER_GROUP, configuration);
      return [...voters, ...learners]
        .map((peer) => `${formatPeer(peer)}${peer.peerId === leader.peerId ? "  leads" : ""}`)
        .join("\n");
    }
    case "add-learner":
      await cli.addLearners(COUNTER_GROUP, configuration, [parsePeer(`${argument}/learner`)]);
      return `${argument} is a learner`;
    case "promote":
      await cli.learnerToFollower(COUNTER_GROUP, configuration, parsePeer(argument));
      return `${argument} votes`;
    case "remove":
      await cli.removePeer(COUNTER_GROUP, configuration, parsePeer(argument));
      return `${argument} is removed`;
    case "transfer":
      await cli.transferLeader(COUNTER_GROUP, configuration, parsePeer(argument));
      return `${argument} leads`;
    case "snapshot":
      await cli.snapshot(COUNTER_GROUP, parsePeer(argument));
      return `${argument} has saved a snapshot`;
    default:
      throw new RheaError("INVALID_ARGUMENT", USAGE);
  }
}

async function load(client: CounterClient, count: number): Promise<string> {
  const started = performance.now();
  let left = count;
  const write = async (): Promise<void> => {
    while (left-- > 0) await client.incrementAndGet(1);
  };
  await Promise.all(Array.from({ length: 16 }, () => write()));
  const seconds = (performance.now() - started) / 1000;
  return `${count} increments in ${seconds.toFixed(1)} s (${Math.round(count / seconds)} per second)`;
}

const [members = "", command = "", argument] = process.argv.slice(2);
try {
  const client = new CounterClient(members);
  try {
    console.log(await runCommand(client, members, command, argument));
  } finally {
    client.close();
  }
} catch (thrown) {
  const error = RheaError.from(thrown);
  const doubt = error.details.maybeApplied === true ? " (it may have happened: repeating it would count twice)" : "";
  console.error(command === "" ? USAGE : `${error.code}: ${error.message}${doubt}`);
  process.exitCode = ERROR_CODES[error.code].exit;
}
