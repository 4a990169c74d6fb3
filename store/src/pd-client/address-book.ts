/** Where the stores are, as PD said last; kept on disk so that a restart with PD down finds its peers. */
import { readWholeFile, replaceFile, type Disk, type Logger } from "@rhea/common";
import { Store, StoreState, type StoreInit } from "@rhea/proto";

const FILE = "addresses.json";

/** All stores that were ever announced and are not tombstones. */
export class AddressBook {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #logger: Logger;
  readonly #stores = new Map<number, Store>();
  #isSaving = false;
  #isDirty = false;

  constructor(disk: Disk, directory: string, logger: Logger) {
    this.#disk = disk;
    this.#directory = directory;
    this.#logger = logger;
  }

  /** Reads what an earlier process kept; a missing or damaged file only means that PD has to tell again. */
  async load(): Promise<void> {
    const path = `${this.#directory}/${FILE}`;
    if ((await this.#disk.stat(path)) === undefined) return;
    try {
      const stored = JSON.parse((await readWholeFile(this.#disk, path)).toString()) as string[];
      for (const one of stored) {
        const store = Store.decode(Buffer.from(one, "base64"));
        this.#stores.set(store.storeId, store);
      }
    } catch (error) {
      this.#logger.log("warn", "the kept address book is unreadable; waiting for PD", { error: String(error) });
    }
  }

  /** `host:port` of a store's raft port. */
  resolve(storeId: number): string | undefined {
    const store = this.#stores.get(storeId);
    if (store === undefined) return undefined;
    return store.raftAddress === "" ? store.address : store.raftAddress;
  }

  /** `host:port` at which clients reach a store. */
  clientAddress(storeId: number): string | undefined {
    return this.#stores.get(storeId)?.address;
  }

  all(): StoreInit[] {
    return [...this.#stores.values()];
  }

  /** Takes news in and saves them in the background. */
  update(stores: readonly Store[]): void {
    if (stores.length === 0) return;
    for (const store of stores) {
      if (store.state === StoreState.STORE_TOMBSTONE) this.#stores.delete(store.storeId);
      else this.#stores.set(store.storeId, store);
    }
    this.#isDirty = true;
    if (!this.#isSaving) void this.#save();
  }

  async #save(): Promise<void> {
    this.#isSaving = true;
    while (this.#isDirty) {
      this.#isDirty = false;
      const stored = this.all().map((store) => Buffer.from(Store.encode(store).finish()).toString("base64"));
      try {
        await replaceFile(this.#disk, this.#directory, FILE, Buffer.from(JSON.stringify(stored)));
      } catch (error) {
        this.#logger.log("warn", "could not keep the address book", { error: String(error) });
      }
    }
    this.#isSaving = false;
  }
}
