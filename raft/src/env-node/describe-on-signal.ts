/** JRaft's habit: a signal makes a process say what its groups are at. */
import type { RaftServer } from "../embed/api.js";

/**
 * Writes `server.describe()` whenever the process gets the signal, until the returned function is called. A process that a signal is not wanted
 * from does not call this: without a listener SIGUSR2 ends it.
 *
 * @param write where to; default standard error.
 * @param signal default SIGUSR2.
 */
export function describeOnSignal(
  server: Pick<RaftServer, "describe">,
  write: (text: string) => void = (text) => void process.stderr.write(`${text}\n`),
  signal: NodeJS.Signals = "SIGUSR2",
): () => void {
  const describe = (): void => {
    write(server.describe());
  };
  process.on(signal, describe);
  return () => {
    process.off(signal, describe);
  };
}
