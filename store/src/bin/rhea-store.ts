/** `rhea-store --config store.yaml`: one store. */
import { runMain } from "@rhea/common/env-node";
import { storeMain } from "../env-node/store-main.js";

runMain("rhea-store", storeMain);
