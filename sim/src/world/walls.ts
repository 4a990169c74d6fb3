/** Which links are cut, and by how many at once: a fault that ends does not open what another one still holds shut. */
import type { SimNet } from "./sim-net.js";

/** A direction between two nodes. */
export type Link = readonly [from: string, to: string];

/** The cut links of a world. */
export interface Walls {
  /** Cuts links; the returned call opens them again and may be repeated. */
  raise(links: readonly Link[]): () => void;
  /** Cuts a node from all the others, both ways. */
  raiseAround(node: string, others: readonly string[]): () => void;
  /** Opens everything. */
  raze(): void;
  readonly isClear: boolean;
}

/** Makes the walls of a network that has none. */
export function createWalls(net: SimNet): Walls {
  const holders = new Map<string, { readonly link: Link; count: number }>();
  let era = 0;

  const raise = (links: readonly Link[]): (() => void) => {
    const raisedIn = era;
    for (const link of links) {
      const [from, to] = link;
      const held = holders.get(`${from}>${to}`);
      if (held !== undefined) held.count++;
      else {
        holders.set(`${from}>${to}`, { link, count: 1 });
        net.block(from, to);
      }
    }
    let isUp = true;
    return () => {
      if (!isUp || raisedIn !== era) return;
      isUp = false;
      for (const [from, to] of links) {
        const held = holders.get(`${from}>${to}`);
        if (held === undefined || --held.count > 0) continue;
        holders.delete(`${from}>${to}`);
        net.unblock(from, to);
      }
    };
  };

  return {
    raise,
    raiseAround: (node, others) =>
      raise(
        others
          .filter((other) => other !== node)
          .flatMap((other): Link[] => [
            [node, other],
            [other, node],
          ]),
      ),
    raze: () => {
      era++;
      holders.clear();
      net.unblockAll();
    },
    get isClear() {
      return holders.size === 0;
    },
  };
}
