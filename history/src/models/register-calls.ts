import type { RegisterOp, RegisterResult } from "./register.js";

/** A value as clients give it back. */
interface Bytes {
  toString(): string;
}

/** What a client must be able to do to be driven by register operations: the calls of Rhea's client. */
export interface RegisterCalls {
  get(key: string): Promise<Bytes | undefined>;
  put(key: string, value: string): Promise<void>;
  delete(key: string): Promise<void>;
  getAndPut(key: string, value: string): Promise<Bytes | undefined>;
  putIfAbsent(key: string, value: string): Promise<Bytes | undefined>;
  compareAndPut(key: string, expect: string | undefined, update: string | undefined): Promise<boolean>;
}

/** Runs a register operation on a client and gives its answer in the model's terms. Rejects as the client does. */
export async function runRegisterOp(client: RegisterCalls, op: RegisterOp): Promise<RegisterResult> {
  switch (op.kind) {
    case "get":
      return (await client.get(op.key))?.toString() ?? null;
    case "put":
      await client.put(op.key, op.value);
      return null;
    case "delete":
      await client.delete(op.key);
      return null;
    case "getAndPut":
      return (await client.getAndPut(op.key, op.value))?.toString() ?? null;
    case "putIfAbsent":
      return (await client.putIfAbsent(op.key, op.value))?.toString() ?? null;
    case "cas":
      return client.compareAndPut(op.key, op.expected ?? undefined, op.value ?? undefined);
  }
}
