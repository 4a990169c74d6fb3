/** A bare client for tests: one stream to one store, operations as promises, retries of what asks for it. Tests only. */
import { RheaError, type RpcStream, errorFromWire } from "@rhea/common";
import { grpcNet } from "@rhea/common/env-node";
import {
  Command,
  CommandKind,
  CommandResult,
  KvMethods,
  ReadKind,
  type CommandInit,
  type KvOperationInit,
  type KvRequestsInit,
  type KvResponses,
  type KvResult,
  type ReadInit,
  type ReadResult,
} from "@rhea/proto";

/** Where an operation goes. */
export interface Target {
  readonly regionId: number;
  readonly confVer: number;
  readonly version: number;
}

/** One stream to one store. */
export class KvCaller {
  readonly #waiting = new Map<number, { resolve: (result: KvResult) => void; reject: (error: Error) => void }>();
  readonly #channel: ReturnType<ReturnType<typeof grpcNet>["connect"]>;
  readonly #stream: RpcStream<KvResponses, KvRequestsInit>;
  #id = 0;

  constructor(address: string) {
    this.#channel = grpcNet().connect(address);
    this.#stream = this.#channel.stream(KvMethods.Operations);
    this.#stream.listen({
      onMessage: (message) => {
        for (const result of message.results) {
          this.#waiting.get(result.id)?.resolve(result);
          this.#waiting.delete(result.id);
        }
      },
      onClose: (error) => {
        for (const { reject } of this.#waiting.values()) reject(error ?? new RheaError("UNAVAILABLE", "stream closed"));
        this.#waiting.clear();
      },
    });
    this.#stream.send({ hello: { protocolVersion: 1, clusterId: 1, clientId: Buffer.alloc(16, 3) } });
  }

  async command(target: Target, command: CommandInit): Promise<CommandResult> {
    const result = await this.#send(target, { command: Command.encode(command).finish() });
    return CommandResult.decode(result.commandResult);
  }

  async read(target: Target, read: ReadInit): Promise<ReadResult> {
    const result = await this.#send(target, { read });
    return result.read ?? Promise.reject(new RheaError("INTERNAL", "no read in the answer"));
  }

  put(target: Target, key: string, value: string): Promise<CommandResult> {
    return this.command(target, { kind: CommandKind.CMD_PUT, key: Buffer.from(key), value: Buffer.from(value) });
  }

  async get(target: Target, key: string): Promise<string | undefined> {
    const { value } = await this.read(target, { kind: ReadKind.READ_GET, key: Buffer.from(key) });
    return value === null ? undefined : Buffer.from(value).toString();
  }

  close(): void {
    this.#stream.close();
    this.#channel.close();
  }

  async #send(target: Target, operation: KvOperationInit): Promise<KvResult> {
    const id = ++this.#id;
    const result = await new Promise<KvResult>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#stream.send({ regions: [{ ...target, timeoutMs: 5_000, operations: [{ ...operation, id }] }] });
    });
    if (result.error !== null) throw errorFromWire(result.error);
    return result;
  }
}
