/** JRaft's RouteTable: which groups there are, who their members are, and who leads them, for a client that sends its own requests. */
import { RheaError } from "@rhea/common";
import type { PeerInfo } from "../node/index.js";
import type { CliService, GivenConfiguration } from "./cli-service.js";
import { parseConfiguration, type Configuration } from "./configuration.js";

/** Routes of some groups. Nothing is refreshed by itself: do so when a process says that it does not lead. */
export interface RouteTable {
  /** Sets the members of a group, as far as they are known; text as in `parseConfiguration`. Forgets its leader if that is none of them. */
  updateConfiguration(groupId: number, configuration: GivenConfiguration): void;
  /** The members of a group as known; undefined for a group that is not known. */
  configuration(groupId: number): Configuration | undefined;
  /** Takes a leader's address that a process gave in an answer; undefined: it does not lead. */
  updateLeader(groupId: number, leader: PeerInfo | undefined): void;
  /** The leader as last heard; undefined if unknown. */
  selectLeader(groupId: number): PeerInfo | undefined;
  /** Asks who leads. Calls for one group at the same time share one question. Rejects as `CliService.getLeader`; NOT_FOUND for a group that is not known. */
  refreshLeader(groupId: number, timeoutMs?: number): Promise<PeerInfo>;
  /** Asks for the members, learners among them. Rejects like {@link RouteTable.refreshLeader}. */
  refreshConfiguration(groupId: number, timeoutMs?: number): Promise<Configuration>;
  /** Forgets a group; false if it was not known. */
  removeGroup(groupId: number): boolean;
  /** The groups that are known, in ascending order. */
  groups(): readonly number[];
}

/** Makes a table that asks by means of `cli`; the caller closes that. */
export function createRouteTable(cli: Pick<CliService, "getLeader" | "getPeers" | "getLearners">): RouteTable {
  return new Table(cli);
}

interface Route {
  configuration: Configuration;
  leader: PeerInfo | undefined;
  asking: Promise<PeerInfo> | undefined;
}

class Table implements RouteTable {
  readonly #cli: Pick<CliService, "getLeader" | "getPeers" | "getLearners">;
  readonly #routes = new Map<number, Route>();

  constructor(cli: Pick<CliService, "getLeader" | "getPeers" | "getLearners">) {
    this.#cli = cli;
  }

  updateConfiguration(groupId: number, given: GivenConfiguration): void {
    const configuration = typeof given === "string" ? parseConfiguration(given) : given;
    if (configuration.length === 0) {
      throw new RheaError("INVALID_ARGUMENT", `group ${groupId}: a configuration without peers`);
    }
    const route = this.#routes.get(groupId);
    if (route === undefined) {
      this.#routes.set(groupId, { configuration, leader: undefined, asking: undefined });
      return;
    }
    route.configuration = configuration;
    if (!configuration.some(({ storeId }) => storeId === route.leader?.storeId)) route.leader = undefined;
  }

  configuration(groupId: number): Configuration | undefined {
    return this.#routes.get(groupId)?.configuration;
  }

  updateLeader(groupId: number, leader: PeerInfo | undefined): void {
    this.#require(groupId).leader = leader;
  }

  selectLeader(groupId: number): PeerInfo | undefined {
    return this.#routes.get(groupId)?.leader;
  }

  refreshLeader(groupId: number, timeoutMs?: number): Promise<PeerInfo> {
    const route = this.#routes.get(groupId);
    if (route === undefined) return Promise.reject(unknown(groupId));
    route.asking ??= this.#askLeader(groupId, route, timeoutMs).finally(() => {
      route.asking = undefined;
    });
    return route.asking;
  }

  async refreshConfiguration(groupId: number, timeoutMs?: number): Promise<Configuration> {
    const route = this.#require(groupId);
    const options = timeoutMs === undefined ? {} : { timeoutMs };
    const voters = await this.#cli.getPeers(groupId, route.configuration, options);
    const learners = await this.#cli.getLearners(groupId, route.configuration, options);
    const configuration = [...voters, ...learners];
    // Not for a group that was removed meanwhile.
    if (this.#routes.get(groupId) === route) this.updateConfiguration(groupId, configuration);
    return configuration;
  }

  removeGroup(groupId: number): boolean {
    return this.#routes.delete(groupId);
  }

  groups(): readonly number[] {
    return [...this.#routes.keys()].sort((a, b) => a - b);
  }

  async #askLeader(groupId: number, route: Route, timeoutMs: number | undefined): Promise<PeerInfo> {
    route.leader = undefined;
    route.leader = await this.#cli.getLeader(
      groupId,
      route.configuration,
      timeoutMs === undefined ? {} : { timeoutMs },
    );
    return route.leader;
  }

  #require(groupId: number): Route {
    const route = this.#routes.get(groupId);
    if (route === undefined) throw unknown(groupId);
    return route;
  }
}

function unknown(groupId: number): RheaError {
  return new RheaError("NOT_FOUND", `group ${groupId} is not in the route table: update its configuration first`);
}
