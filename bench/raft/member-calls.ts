/** What a benchmark asks of a member: a process with one raft host. Requests and answers go over the channel that Node opens to a forked process. */

/** Where the members listen: store id and address. */
export type Addresses = readonly (readonly [storeId: number, address: string])[];

/** What a member is told when it starts. */
export interface OpenRequest {
  readonly storeId: number;
  /** Rises at every start on the same directory. */
  readonly incarnation: number;
  /** Holds log and snapshots. */
  readonly directory: string;
}

/** Groups with one voter on each store; the peer on store s of a group has the id 10 * group + s. */
export interface GroupsRequest {
  readonly firstGroup: number;
  readonly count: number;
  readonly stores: readonly number[];
}

/** A closed loop of proposals or reads on one group, run inside the member. */
export interface LoadRequest {
  readonly group: number;
  readonly outstanding: number;
  readonly seconds: number;
  /** Bytes of an entry. */
  readonly valueBytes: number;
}

/** What a load did. */
export interface LoadAnswer {
  readonly operations: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What a member has used and done since it started. */
export interface UsageAnswer {
  /** CPU time of the process, all threads, in microseconds. */
  readonly cpuMicroseconds: number;
  readonly turns: number;
  readonly syncs: number;
  readonly syncSeconds: number;
  readonly messagesSent: number;
  readonly readRounds: number;
  readonly leaders: number;
}

/** One group as the member sees it. */
export interface GroupAnswer {
  readonly leader: number;
  readonly lastIndex: number;
  readonly applied: number;
}

/** The requests by name, with their arguments and answers. */
export interface MemberCalls {
  readonly open: (request: OpenRequest) => Promise<{ readonly address: string }>;
  readonly connect: (addresses: Addresses) => Promise<void>;
  readonly createGroups: (request: GroupsRequest) => Promise<void>;
  /** Campaigns for the groups that fall to this member, one in as many as there are stores. */
  readonly campaign: (request: GroupsRequest) => Promise<void>;
  readonly lead: (group: number) => Promise<void>;
  readonly propose: (request: LoadRequest) => Promise<LoadAnswer>;
  readonly read: (request: LoadRequest) => Promise<LoadAnswer>;
  readonly usage: () => Promise<UsageAnswer>;
  readonly group: (group: number) => Promise<GroupAnswer>;
  readonly close: () => Promise<void>;
}

/** A request as it travels. */
export interface MemberRequest {
  readonly id: number;
  readonly call: keyof MemberCalls;
  readonly argument: unknown;
}

/** What a member says: an answer, or that it began to lead a group. */
export type MemberMessage =
  | { readonly kind: "answer"; readonly id: number; readonly result: unknown }
  | { readonly kind: "error"; readonly id: number; readonly message: string }
  | { readonly kind: "leading"; readonly group: number; readonly term: number };
