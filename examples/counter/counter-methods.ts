/** What clients and servers of the counter say to each other: two calls with JSON in them. */
import type { RpcMethod } from "@rhea/common";

/** The one group of this example. */
export const COUNTER_GROUP = 1;

/** The answer to an increment: the value after it, or who leads (`host:port`, null: not known there). Nothing has happened then. */
export type CounterAnswer = { readonly value: number } | { readonly redirect: string | null };

/** A call whose messages are JSON. An application with many calls would rather use protobuf. */
function jsonMethod<Request, Response>(path: string): RpcMethod<Request, Request, Response, Response> {
  const encode = (message: unknown): Uint8Array => Buffer.from(JSON.stringify(message));
  const decode = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());
  return {
    path,
    kind: "unary",
    encodeRequest: encode,
    decodeRequest: (bytes) => decode(bytes) as Request,
    encodeResponse: encode,
    decodeResponse: (bytes) => decode(bytes) as Response,
  };
}

/** The calls. */
export const CounterMethods = {
  /** At the leader; others answer where it is. */
  IncrementAndGet: jsonMethod<{ readonly delta: number }, CounterAnswer>("/counter.Counter/IncrementAndGet"),
  /** At any member, a learner too: the newest value, as of some moment during the call. */
  Get: jsonMethod<Record<string, never>, { readonly value: number }>("/counter.Counter/Get"),
};
