/** Looks for planted bugs, two at a time: `mutant-campaign.ts [NAME...]`, a row of the README's table per bug on standard output. */
import { catchMutant } from "../env-node/raft-campaign-process.js";
import { MUTANTS } from "../mutants/index.js";

const names = process.argv.slice(2);
const wanted = MUTANTS.filter(({ name }) => names.length === 0 || names.includes(name));
const { signal } = new AbortController();
const queue = [...wanted];
const work = async (): Promise<void> => {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const caught = await catchMutant(mutant, signal).catch((error: unknown) => String(error));
    const how =
      typeof caught === "string"
        ? caught.slice(0, 400)
        : caught === undefined
          ? `NOT CAUGHT within ${mutant.caughtWithin}`
          : `seed ${caught.seed}: ${caught.failure?.split("\n")[0]?.slice(0, 140) ?? ""}`;
    process.stdout.write(`${mutant.name} | ${mutant.flavour} | ${mutant.caughtWithin} | ${how}\n`);
  }
};
await Promise.all([work(), work()]);
