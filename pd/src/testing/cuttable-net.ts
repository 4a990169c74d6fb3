/** A network between named parties that a test can cut. */
import { RheaError, type Net, type RpcStream } from "@rhea/common";

/** The cable: who is cut off, and where everybody listens. */
export class Cable {
  readonly #net: Net;
  readonly #owners = new Map<string, string>();
  readonly #cut = new Set<string>();
  readonly #streams = new Set<{
    readonly ends: readonly [string, string];
    readonly stream: Pick<RpcStream<never, never>, "close">;
  }>();

  constructor(net: Net) {
    this.#net = net;
  }

  /** Cuts a party off from all others: what is open breaks, what is new fails. */
  cut(party: string): void {
    this.#cut.add(party);
    for (const open of this.#streams) {
      if (!open.ends.includes(party)) continue;
      this.#streams.delete(open);
      open.stream.close(new RheaError("UNAVAILABLE", `${party} is cut off`));
    }
  }

  mend(party: string): void {
    this.#cut.delete(party);
  }

  /** The network as one party sees it. */
  of(party: string): Net {
    return {
      connect: (address) => {
        const channel = this.#net.connect(address);
        const ends = (): readonly [string, string] => [party, this.#owners.get(address) ?? address];
        const refusal = (): RheaError | undefined =>
          ends().some((end) => this.#cut.has(end))
            ? new RheaError("UNAVAILABLE", `${address} is out of reach`)
            : undefined;
        return {
          address,
          unary: async (method, request, options) => {
            const refused = refusal();
            if (refused !== undefined) throw refused;
            return channel.unary(method, request, options);
          },
          stream: (method) => {
            const stream = channel.stream(method);
            const refused = refusal();
            if (refused !== undefined) stream.close(refused);
            else this.#streams.add({ ends: ends(), stream });
            return stream;
          },
          close: () => channel.close(),
        };
      },
      createServer: () => {
        const server = this.#net.createServer();
        return {
          unary: (method, handler) => server.unary(method, handler),
          stream: (method, handler) => server.stream(method, handler),
          listen: async (address) => {
            const bound = await server.listen(address);
            this.#owners.set(bound, party);
            return bound;
          },
          close: (graceMs) => server.close(graceMs),
        };
      },
    };
  }
}
