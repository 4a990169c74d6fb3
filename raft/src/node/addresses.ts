/** Where other processes are: what the embedder's directory says, else what the members of a group are known by, else what they said themselves. */
import type { IdentityBook } from "../transport/identity.js";
import type { RaftHostOptions } from "./api.js";
import type { MemberList } from "./membership.js";

/** Makes the lookup of a host: `host:port` of a store's raft server, undefined if nobody knows. Asked at every (re)connect, not per message. */
export function addressBook(
  options: RaftHostOptions,
  identities: IdentityBook,
  groups: () => Iterable<{ readonly members: MemberList }>,
): (storeId: number) => string | undefined {
  const amongMembers = (storeId: number): string | undefined => {
    for (const { members } of groups()) {
      const address = members.onStore(storeId)?.address;
      if (address !== undefined) return address;
    }
    return undefined;
  };
  return (storeId) => options.resolveStore?.(storeId) ?? amongMembers(storeId) ?? identities.addressOf(storeId);
}
