import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { RheaError } from "@rhea/common";

/** Below the range from which Linux and macOS take the ports of outgoing connections: nobody takes one while its owner restarts. */
const FREE_FIRST = 20_000;
const FREE_END = 32_000;
const ATTEMPTS = 200;

/** The address every local process listens on. */
export const HOST = "127.0.0.1";

/** Whether a port can be listened on now. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Picks a port: the first of `preferred` that is free, else a random free one.
 *
 * @param taken ports that belong to processes of this cluster that may not run at the moment
 * @throws {RheaError} UNAVAILABLE if none is found
 */
export async function pickPort(preferred: readonly number[], taken: ReadonlySet<number>): Promise<number> {
  for (const port of preferred) {
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(FREE_FIRST, FREE_END);
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new RheaError("UNAVAILABLE", `no free port among ${ATTEMPTS} tried in ${FREE_FIRST}..${FREE_END}`);
}
